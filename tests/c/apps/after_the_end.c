// Uses handles after their end, from many threads at once, while requests go on. Built with
// AddressSanitizer; it checks its own arithmetic and exits with 0 if nothing was wrong.

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gohttp.h"

#define CLIENTS 4
#define REQUESTS 500
#define ABUSERS 4
#define KEPT 1024

static gohttp_server server;
static _Atomic unsigned kept[KEPT];
static atomic_uint next;
static atomic_int over;
static atomic_long good, bad;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    abort();
}

static void *end_later(void *argument) {
    gohttp_response w = (gohttp_response)(uintptr_t)argument;
    gohttp_response_write(w, "detached", 8);
    gohttp_response_end(w);
    return NULL;
}

static void handle(gohttp_response w, gohttp_request r, void *data) {
    unsigned n = atomic_fetch_add(&next, 1);
    (void)data;
    if (gohttp_request_path(r, NULL) == NULL) fail("a live handle was refused");
    atomic_store(&kept[n % KEPT], w);
    if (n % 3) {
        gohttp_response_write(w, "answered", 8);
        return;
    }
    pthread_t thread;
    gohttp_response_detach(w);
    if (pthread_create(&thread, NULL, end_later, (void *)(uintptr_t)w) != 0) fail("no thread");
    pthread_detach(thread);
}

// Handles whose owners may still be at work: calls must be harmless, whatever they return. What is
// not called is what ends a response or gives addresses that its end makes bad.
static void *abuse(void *argument) {
    unsigned seed = (unsigned)(uintptr_t)argument;
    while (!atomic_load(&over)) {
        seed = seed * 1664525u + 1013904223u;
        gohttp_response w = atomic_load(&kept[seed % KEPT]);
        char buffer[64];
        int results[] = {
            gohttp_response_gone(w),
            gohttp_request_header_count(w),
            (int)gohttp_request_read(w, buffer, sizeof buffer),
            gohttp_response_set_header(w, "X-Abused", "1"),
            gohttp_response_set_header(seed, "X-Forged", "1"),
        };
        for (int i = 0; i < 5; i++)
            atomic_fetch_add(results[i] == GOHTTP_ERROR_HANDLE ? &bad : &good, 1);
    }
    return NULL;
}

static void *ask(void *argument) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)(uintptr_t)argument),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, (struct sockaddr *)&address, sizeof address) != 0) fail("cannot connect");
    const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for (int i = 0; i < REQUESTS; i++) {
        char answer[4096];
        size_t have = 0;
        if (write(client, request, sizeof request - 1) < 0) fail("cannot write");
        do {
            ssize_t n = read(client, answer + have, sizeof answer - 1 - have);
            if (n <= 0) fail("cannot read");
            have += (size_t)n;
            answer[have] = 0;
        } while (!strstr(answer, "\r\n\r\nanswered") && !strstr(answer, "\r\n\r\ndetached"));
    }
    close(client);
    return NULL;
}

static void *run(void *argument) {
    (void)argument;
    if (gohttp_server_run(server) != GOHTTP_OK) fail(gohttp_last_error());
    return NULL;
}

int main(void) {
    pthread_t runner, clients[CLIENTS], abusers[ABUSERS];
    server = gohttp_server_new();
    if (gohttp_server_handle(server, "/", handle, NULL) != GOHTTP_OK) fail(gohttp_last_error());
    if (gohttp_server_listen(server, "127.0.0.1:0") != GOHTTP_OK) fail(gohttp_last_error());
    uintptr_t port = (uintptr_t)gohttp_server_port(server);
    pthread_create(&runner, NULL, run, NULL);
    for (uintptr_t i = 0; i < ABUSERS; i++) pthread_create(&abusers[i], NULL, abuse, (void *)i);
    for (int i = 0; i < CLIENTS; i++) pthread_create(&clients[i], NULL, ask, (void *)port);
    for (int i = 0; i < CLIENTS; i++) pthread_join(clients[i], NULL);
    atomic_store(&over, 1);
    for (int i = 0; i < ABUSERS; i++) pthread_join(abusers[i], NULL);
    gohttp_server_shutdown(server, 1000);
    pthread_join(runner, NULL);
    // Now nobody is at work: every handle ever given out is stale, and so is the server's.
    for (int i = 0; i < KEPT; i++)
        if (gohttp_response_write(atomic_load(&kept[i]), "x", 1) != GOHTTP_ERROR_HANDLE ||
            gohttp_response_end(atomic_load(&kept[i])) != GOHTTP_ERROR_HANDLE ||
            gohttp_request_url(atomic_load(&kept[i]), NULL) != NULL)
            fail("a stale handle was taken");
    if (gohttp_server_free(server) != GOHTTP_OK) fail("the server was not given back");
    if (gohttp_server_run(server) != GOHTTP_ERROR_HANDLE) fail("a stale server ran");
    printf("good %ld bad %ld requests %u\n", atomic_load(&good), atomic_load(&bad),
           atomic_load(&next));
    return atomic_load(&next) == CLIENTS * REQUESTS && atomic_load(&bad) > 0 ? 0 : 1;
}
