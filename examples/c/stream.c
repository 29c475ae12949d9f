// The fuller API: data for handlers, uploads read piece by piece, events sent as they happen, and a
// response that another thread finishes.
//
//     make example-c && build/c/stream 127.0.0.1:5000
//     curl -N http://127.0.0.1:5000/events
//     curl -T some-file http://127.0.0.1:5000/upload

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gohttp.h"

static void pause_for(long milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void print(gohttp_response w, const char *text) {
    gohttp_response_write(w, text, strlen(text));
}

// GET /?name=you
static void greet(gohttp_response w, gohttp_request r, void *data) {
    atomic_int *greeted = data;
    const char *name = gohttp_request_query_value(r, "name", NULL);
    char text[256];
    snprintf(text, sizeof text, "Hello, %s. You are number %d.\n", name ? name : "world",
             atomic_fetch_add(greeted, 1) + 1);
    print(w, text);
}

// A line every half second. The thread is only this client's; others have others.
static void events(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    gohttp_response_set_header(w, "Content-Type", "text/event-stream");
    for (int i = 1; i <= 20; i++) {
        char text[64];
        snprintf(text, sizeof text, "data: %d\n\n", i);
        print(w, text);
        if (gohttp_response_flush(w) != GOHTTP_OK) return;  // the client has gone
        pause_for(500);
    }
}

// Counts what is sent to it, however much that is.
static void upload(gohttp_response w, gohttp_request r, void *data) {
    (void)data;
    char buffer[65536];
    long long total = 0;
    ptrdiff_t n;
    while ((n = gohttp_request_read(r, buffer, sizeof buffer)) > 0) total += n;
    if (n < 0) {
        gohttp_response_set_status(w, 400);
        print(w, gohttp_strerror((int)n));
        return;
    }
    char text[64];
    snprintf(text, sizeof text, "%lld bytes\n", total);
    print(w, text);
}

static void *finish(void *argument) {
    gohttp_response w = (gohttp_response)(uintptr_t)argument;
    pause_for(1000);
    print(w, "Sent by another thread.\n");
    gohttp_response_end(w);
    return NULL;
}

// The handler returns at once; the response goes on.
static void later(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    pthread_t thread;
    gohttp_response_detach(w);
    if (pthread_create(&thread, NULL, finish, (void *)(uintptr_t)w) == 0) {
        pthread_detach(thread);
    } else {
        gohttp_response_abort(w);
    }
}

static void check(int result) {
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", gohttp_strerror(result), gohttp_last_error());
        exit(1);
    }
}

int main(int argc, char **argv) {
    static atomic_int greeted;
    gohttp_server server = gohttp_server_new();
    check(gohttp_server_set(server, GOHTTP_OPTION_SIGNALS, 1));
    check(gohttp_server_handle(server, "/", greet, &greeted));
    check(gohttp_server_handle(server, "/events", events, NULL));
    check(gohttp_server_handle(server, "/upload", upload, NULL));
    check(gohttp_server_handle(server, "/later", later, NULL));
    check(gohttp_server_listen(server, argc > 1 ? argv[1] : "127.0.0.1:5000"));
    printf("listening on port %d\n", gohttp_server_port(server));
    fflush(stdout);
    check(gohttp_server_run(server));
    return gohttp_server_free(server) != GOHTTP_OK;
}
