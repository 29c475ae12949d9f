// Handlers in C for a Python server: compiled by build_fast.py, served by fast_app.py.

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define GOHTTP_MODULE
#include "gohttp.h"

// What fast_app.py gives to both handlers. They run on several threads at once.
struct counter {
    atomic_long requests;
};

// Greets whom the pattern has found.
static void greet(gohttp_response w, gohttp_request r, void *data) {
    struct counter *counter = data;
    long number = atomic_fetch_add(&counter->requests, 1) + 1;
    const char *name = gohttp_request_path_value(r, "name", NULL);
    char text[256];
    int length = snprintf(text, sizeof text, "Hello, %.100s. You are number %ld.\n", name, number);
    gohttp_response_write(w, text, (size_t)length);
}

// Answers with the Adler-32 of the body (RFC 1950), read piece by piece: no body is too long.
static void adler(gohttp_response w, gohttp_request r, void *data) {
    struct counter *counter = data;
    atomic_fetch_add(&counter->requests, 1);
    unsigned char piece[16384];
    unsigned long a = 1, b = 0;
    ptrdiff_t length;
    while ((length = gohttp_request_read(r, piece, sizeof piece)) > 0) {
        for (ptrdiff_t i = 0; i < length; i++) {
            a = (a + piece[i]) % 65521;
            b = (b + a) % 65521;
        }
    }
    if (length < 0) {  // the client has gone, or sent what is no body
        gohttp_response_abort(w);
        return;
    }
    char text[16];
    int written = snprintf(text, sizeof text, "%08lx\n", b << 16 | a);
    gohttp_response_write(w, text, (size_t)written);
}
