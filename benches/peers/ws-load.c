/* Loads a WebSocket server: each connection sends a text message, waits for its echo, and sends the
 * next. One thread; prints how many echoes came.
 *
 *   ws-load PORT CONNECTIONS BYTES SECONDS
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_MESSAGE 60000

static const char HANDSHAKE[] =
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
static const unsigned char KEY[4] = {17, 34, 51, 68};

static void fail(const char *what) {
    fprintf(stderr, "ws-load: %s\n", what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void send_all(int fd, const void *data, size_t size) {
    if (send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size) fail("a message could not be sent");
}

/* Opens one WebSocket. */
static int dial(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) fail("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    send_all(fd, HANDSHAKE, sizeof HANDSHAKE - 1);
    char head[4096];
    size_t got = 0;
    do {
        ssize_t n = recv(fd, head + got, sizeof head - 1 - got, 0);
        if (n <= 0) fail("the handshake was not answered");
        got += n;
        head[got] = 0;
    } while (!strstr(head, "\r\n\r\n"));
    if (!strstr(head, " 101 ")) fail("the handshake was refused");
    return fd;
}

/* Writes a masked text frame; returns its size. */
static size_t frame(unsigned char *out, size_t size) {
    size_t at = 0;
    out[at++] = 0x81;
    if (size < 126) {
        out[at++] = 0x80 | size;
    } else {
        out[at++] = 0x80 | 126;
        out[at++] = size >> 8;
        out[at++] = size & 255;
    }
    memcpy(out + at, KEY, 4);
    at += 4;
    for (size_t i = 0; i < size; i++) out[at++] = 'x' ^ KEY[i % 4];
    return at;
}

int main(int argc, char **argv) {
    if (argc != 5) fail("usage: ws-load PORT CONNECTIONS BYTES SECONDS");
    int port = atoi(argv[1]), connections = atoi(argv[2]), size = atoi(argv[3]);
    double seconds = atof(argv[4]);
    if (connections < 1 || size < 1 || size > MAX_MESSAGE) fail("a number is out of range");
    int *fds = calloc(connections, sizeof *fds);
    size_t *have = calloc(connections, sizeof *have);
    int epoll = epoll_create1(0);
    for (int i = 0; i < connections; i++) {
        fds[i] = dial(port);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
    }
    static unsigned char out[MAX_MESSAGE + 14], in[MAX_MESSAGE + 14];
    size_t sends = frame(out, size), wants = size + (size < 126 ? 2 : 4);
    for (int i = 0; i < connections; i++) send_all(fds[i], out, sends);
    long echoes = 0;
    double start = now(), time = start;
    while ((time = now()) - start < seconds) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, 1000);
        for (int j = 0; j < ready; j++) {
            int i = events[j].data.u32;
            ssize_t n = recv(fds[i], in, sizeof in, 0);
            if (n <= 0) fail("the server has closed a connection");
            have[i] += n;
            if (have[i] < wants) continue;
            have[i] -= wants;
            echoes++;
            send_all(fds[i], out, sends);
        }
    }
    printf("%ld messages in %.3f s\n", echoes, time - start);
    return 0;
}
