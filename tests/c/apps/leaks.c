// What the heap holds while requests end in each way there is, for C handlers. malloc's own count of
// the bytes in use is exact, and the library takes its memory from malloc.

#define _GNU_SOURCE  // usleep
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gohttp.h"

static gohttp_server server;

static void ends(gohttp_response w, gohttp_request r, void *data) {
    (void)data;
    const char *host = gohttp_request_host(r, NULL);
    gohttp_response_set_header(w, "X-Host", host ? host : "none");
    gohttp_response_write(w, "ends", 4);
}

// An error half way: C's exception.
static void raises(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    gohttp_response_write(w, "begun", 5);
    gohttp_response_flush(w);
    gohttp_response_abort(w);
}

static void floods(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    static char piece[64 * 1024];
    while (gohttp_response_write(w, piece, sizeof piece) > 0) {
    }
}

static void reads(gohttp_response w, gohttp_request r, void *data) {
    (void)data;
    char piece[1000];
    while (gohttp_request_read(r, piece, sizeof piece) > 0) {
    }
    gohttp_response_write(w, "read", 4);
}

// Until its client has been told that it took too long.
static void sleeps(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    for (int i = 0; i < 2000 && gohttp_response_gone(w) != 1; i++) usleep(10000);
}

static void look(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    char text[64];
    struct mallinfo2 heap = mallinfo2();
    int n = snprintf(text, sizeof text, "%zu", heap.uordblks + heap.hblkhd);
    gohttp_response_write(w, text, (size_t)n);
}

int main(int argc, char **argv) {
    server = gohttp_server_new();
    gohttp_server_set(server, GOHTTP_OPTION_SIGNALS, 1);
    for (int i = 2; i + 1 < argc; i += 2) gohttp_server_set(server, atoi(argv[i]), atoll(argv[i + 1]));
    gohttp_server_handle(server, "/ends", ends, NULL);
    gohttp_server_handle(server, "/raises", raises, NULL);
    gohttp_server_handle(server, "/floods", floods, NULL);
    gohttp_server_handle(server, "/reads", reads, NULL);
    gohttp_server_handle(server, "/sleeps", sleeps, NULL);
    gohttp_server_handle(server, "/look", look, NULL);
    if (gohttp_server_listen(server, argv[1]) < 0) return 1;
    printf("port %d\n", gohttp_server_port(server));
    fflush(stdout);
    int ended = gohttp_server_run(server);
    gohttp_server_free(server);
    return ended == GOHTTP_OK ? 0 : 1;
}
