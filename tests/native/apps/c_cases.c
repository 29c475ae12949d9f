// Handlers for a Python server, one for each behaviour that the tests look at.

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOHTTP_MODULE
#include "gohttp.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int open, inside;
static atomic_int last_error;
static atomic_uint last_handle;

int use_api(const void *api) {
    return gohttp_use(api);
}

// Waits until /open. Python calls it too, with the GIL and without.
void pass_gate(void) {
    pthread_mutex_lock(&lock);
    inside++;
    while (!open) pthread_cond_wait(&changed, &lock);
    inside--;
    pthread_mutex_unlock(&lock);
}

static void print(gohttp_response w, const char *text) {
    gohttp_response_write(w, text ? text : "NULL", text ? strlen(text) : 4);
}

static void print_number(gohttp_response w, long long number) {
    char text[32];
    snprintf(text, sizeof text, "%lld", number);
    print(w, text);
}

void hello(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    print(w, "Hello, world.\n");
}

void open_gate(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    pthread_mutex_lock(&lock);
    open = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    print(w, "open");
}

void close_gate(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    pthread_mutex_lock(&lock);
    open = 0;
    pthread_mutex_unlock(&lock);
    print(w, "closed");
}

// How many wait at the gate.
void count_inside(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    pthread_mutex_lock(&lock);
    int count = inside;
    pthread_mutex_unlock(&lock);
    print_number(w, count);
}

void block(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    pass_gate();
    print(w, "passed");
}

void describe(gohttp_response w, gohttp_request r, void *data) {
    (void)data;
    size_t length = 0;
    const char *texts[] = {
        gohttp_request_method(r, NULL),          gohttp_request_path(r, NULL),
        gohttp_request_query_value(r, "q", NULL), gohttp_request_pattern(r, NULL),
        gohttp_request_header(r, "x-test", NULL), gohttp_request_path_value(r, "id", &length),
        gohttp_request_path_value(r, "rest", NULL), gohttp_request_path_value(r, "none", NULL),
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        print(w, texts[i]);
        print(w, "|");
    }
    print_number(w, (long long)length);
}

void echo(gohttp_response w, gohttp_request r, void *data) {
    (void)data;
    static _Thread_local char buffer[50000];
    ptrdiff_t n;
    while ((n = gohttp_request_read(r, buffer, sizeof buffer)) > 0)
        if (gohttp_response_write(w, buffer, (size_t)n) < 0) return;
    if (n < 0) atomic_store(&last_error, (int)n);
}

void give_data(gohttp_response w, gohttp_request r, void *data) {
    (void)r;
    print(w, data);
}

void give_address(gohttp_response w, gohttp_request r, void *data) {
    (void)r;
    print_number(w, (long long)(intptr_t)data);
}

void article(ResponseWriterPtr w, Request *r) {
    char text[512];
    int length = snprintf(text, sizeof text, "%s %s %s %s", r->Method, r->URL, r->Host, r->Body);
    ResponseWriter_WriteHeader(w, 201);
    ResponseWriter_Write(w, text, length);
}

// A body with NULs in it is more than its text: the rest is there to be read.
void article_reads(ResponseWriterPtr w, Request *r) {
    char text[64], body[100000];
    size_t size = 0;
    ptrdiff_t n;
    while ((n = gohttp_request_read(w, body + size, sizeof body - size)) > 0) size += (size_t)n;
    snprintf(text, sizeof text, "%td of %zu:", (ptrdiff_t)strlen(r->Body), size);
    print(w, text);
    gohttp_response_write(w, body, size);
}

// Writes until it cannot.
void endless(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    static char piece[100000];
    ptrdiff_t n;
    while ((n = gohttp_response_write(w, piece, sizeof piece)) > 0) continue;
    atomic_store(&last_error, (int)n);
}

void tell_error(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    print_number(w, atomic_load(&last_error));
}

void keep(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    atomic_store(&last_handle, w);
    print(w, "kept");
}

void use_kept(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    print_number(w, gohttp_response_write(atomic_load(&last_handle), "x", 1));
}

static void *finish(void *argument) {
    gohttp_response w = (gohttp_response)(uintptr_t)argument;
    pass_gate();
    print(w, gohttp_request_path(w, NULL));
    gohttp_response_end(w);
    return NULL;
}

void later(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    pthread_t thread;
    gohttp_response_detach(w);
    if (pthread_create(&thread, NULL, finish, (void *)(uintptr_t)w) != 0) abort();
    pthread_detach(thread);
}
