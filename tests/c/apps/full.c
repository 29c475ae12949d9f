// The fuller API, a handler for each behaviour that the tests look at.

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gohttp.h"

#define THREADS 8

static gohttp_server server;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int released, blocked;
static atomic_int last_error;        // of a handler whose client has gone
static atomic_uint last_handle;      // of the last request to /keep
static atomic_long streamed;         // bytes that /endless has got rid of

static void print(gohttp_response w, const char *text) {
    gohttp_response_write(w, text, strlen(text));
}

static void print_number(gohttp_response w, long long number) {
    char text[32];
    snprintf(text, sizeof text, "%lld ", number);
    print(w, text);
}

static void pass_gate(void) {
    pthread_mutex_lock(&lock);
    blocked++;
    while (!released) pthread_cond_wait(&changed, &lock);
    blocked--;
    pthread_mutex_unlock(&lock);
}

static void hello(gohttp_response w, gohttp_request r, void *data) {
    (void)r;
    print(w, data);
}

static void describe(gohttp_response w, gohttp_request r, void *data) {
    (void)data;
    size_t length = 99;
    const char *texts[] = {
        gohttp_request_method(r, NULL),
        gohttp_request_host(r, NULL),
        gohttp_request_path(r, &length),
        gohttp_request_query(r, NULL),
        gohttp_request_url(r, NULL),
        gohttp_request_protocol(r, NULL),
        gohttp_request_pattern(r, NULL),
        gohttp_request_header(r, "X-TEST", NULL),
        gohttp_request_header(r, "x-none", NULL),
        gohttp_request_query_value(r, "q", NULL),
        gohttp_request_path_value(r, "id", NULL),
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        print(w, texts[i] ? texts[i] : "NULL");
        print(w, "\n");
    }
    print_number(w, (long long)length);
    print_number(w, strncmp(gohttp_request_remote_address(r, NULL), "127.0.0.1:", 10) == 0);
    print_number(w, gohttp_request_content_length(r));
}

static void headers(gohttp_response w, gohttp_request r, void *data) {
    (void)data;
    const char *name, *value;
    for (int i = 0; gohttp_request_header_at(r, i, &name, &value) == GOHTTP_OK; i++) {
        print(w, name);
        print(w, "=");
        print(w, value);
        print(w, "\n");
    }
    print_number(w, gohttp_request_header_count(r));
    print_number(w, gohttp_request_header_at(r, -1, &name, &value));
}

// Echoes the body, read by seven bytes.
static void echo(gohttp_response w, gohttp_request r, void *data) {
    (void)data;
    char buffer[7];
    ptrdiff_t n;
    while ((n = gohttp_request_read(r, buffer, sizeof buffer)) > 0)
        gohttp_response_write(w, buffer, (size_t)n);
    if (n < 0) atomic_store(&last_error, (int)n);
}

static void fields(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    gohttp_response_set_status(w, 418);
    gohttp_response_set_header(w, "X-A", "1");
    gohttp_response_set_header(w, "x-a", "2");
    gohttp_response_add_header(w, "Set-Cookie", "a=1");
    gohttp_response_add_header(w, "Set-Cookie", "b=2");
    gohttp_response_set_header(w, "X-B", "1");
    gohttp_response_set_header(w, "X-B", NULL);
    gohttp_response_set_header(w, "Content-Type", "text/x-tea");
    print(w, "short and stout");
}

// What is refused, as numbers.
static void refusals(gohttp_response w, gohttp_request r, void *data) {
    (void)data;
    char byte;
    int results[] = {
        gohttp_response_set_status(w, 199),
        gohttp_response_set_status(w, 1000),
        gohttp_response_set_header(w, "a b", "x"),
        gohttp_response_set_header(w, "a", "x\r\nSet-Cookie: stolen"),
        gohttp_response_set_header(w, NULL, "x"),
        gohttp_response_add_header(w, "a", NULL),
        gohttp_response_set_header(w, "Content-Length", "-1"),
        (int)gohttp_response_write(w, NULL, 1),
        (int)gohttp_response_write(w, &byte, (size_t)-1),
        (int)gohttp_request_read(r, NULL, 1),
        gohttp_server_handle(server, "/hello", hello, NULL),
        gohttp_server_handle(server, "no slash", hello, NULL),
        gohttp_server_handle(server, NULL, hello, NULL),
        gohttp_server_handle(server, "/null", NULL, NULL),
        gohttp_server_set(server, GOHTTP_OPTION_THREADS, 1),
        gohttp_server_listen(server, "127.0.0.1:0"),
        gohttp_server_run(server),
        gohttp_server_free(server),
    };
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) print_number(w, results[i]);
    int late = gohttp_response_set_status(w, 500);
    int later = gohttp_response_set_header(w, "a", "b");
    print_number(w, late);
    print_number(w, later);
    int ended = gohttp_response_end(w);
    if (ended != GOHTTP_OK || gohttp_response_end(w) != GOHTTP_ERROR_ENDED ||
        gohttp_response_write(w, "x", 1) != GOHTTP_ERROR_ENDED)
        abort();
}

static void block(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    pass_gate();
    print(w, "released");
}

static void count_blocked(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    pthread_mutex_lock(&lock);
    int count = blocked;
    pthread_mutex_unlock(&lock);
    print_number(w, count);
}

static void release(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    pthread_mutex_lock(&lock);
    released = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    print(w, "ok");
}

static void *finish(void *argument) {
    gohttp_response w = (gohttp_response)(uintptr_t)argument;
    pass_gate();
    print(w, "path ");
    print(w, gohttp_request_path(w, NULL));
    if (gohttp_response_end(w) != GOHTTP_OK) atomic_store(&last_error, 1);
    if (gohttp_response_end(w) != GOHTTP_ERROR_HANDLE) abort();
    return NULL;
}

static void start(void *(*run)(void *), gohttp_response w) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, (void *)(uintptr_t)w) != 0) abort();
    pthread_detach(thread);
}

static void later(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    if (gohttp_response_detach(w) != GOHTTP_OK) abort();
    start(finish, w);
}

// Many threads write one response.
static void *write_hundred(void *argument) {
    gohttp_response w = (gohttp_response)(uintptr_t)argument;
    char piece[1000];
    memset(piece, 'x', sizeof piece);
    for (int i = 0; i < 100; i++)
        if (gohttp_response_write(w, piece, sizeof piece) != sizeof piece) abort();
    return NULL;
}

static void together(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, write_hundred, (void *)(uintptr_t)w) != 0) abort();
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

// 16 MiB, in pieces of a size that no window has.
static void big(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    static char piece[100000];
    for (long left = 16l << 20; left > 0; left -= (long)sizeof piece) {
        size_t n = left < (long)sizeof piece ? (size_t)left : sizeof piece;
        if (gohttp_response_write(w, piece, n) < 0) return;
    }
}

// Writes until it cannot.
static void endless(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    static char piece[10000];
    ptrdiff_t n;
    while ((n = gohttp_response_write(w, piece, sizeof piece)) > 0) atomic_fetch_add(&streamed, n);
    if (gohttp_response_gone(w) != 1) n = 1;
    atomic_store(&last_error, (int)n);
}

static void cut(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    print(w, "a part");
    gohttp_response_flush(w);
    gohttp_response_abort(w);
}

static void hints(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    gohttp_response_set_header(w, "Link", "</style.css>");
    gohttp_response_interim(w, 103);
    print(w, "page");
}

static void one_by_one(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    print(w, "first");
    gohttp_response_flush(w);
    pass_gate();
    print(w, "second");
}

static void declared(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    gohttp_response_set_header(w, "Content-Length", "10");
    gohttp_response_write(w, "123456", 6);
}

static void keep(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    atomic_store(&last_handle, w);
    print(w, "kept");
}

// All that can be done with a handle, with one that is good no more.
static void try_handle(gohttp_response answer, unsigned handle) {
    if (handle == answer || handle == server) return;
    char buffer[8];
    const char *name, *value;
    size_t length;
    int results[] = {
        gohttp_response_set_status(handle, 200),
        gohttp_response_set_header(handle, "a", "b"),
        gohttp_response_set_header(handle, "a", NULL),
        gohttp_response_add_header(handle, "a", "b"),
        gohttp_response_interim(handle, 103),
        (int)gohttp_response_write(handle, "x", 1),
        gohttp_response_flush(handle),
        gohttp_response_gone(handle),
        gohttp_response_detach(handle),
        gohttp_response_end(handle),
        gohttp_response_abort(handle),
        (int)gohttp_request_read(handle, buffer, sizeof buffer),
        gohttp_request_header_count(handle),
        gohttp_request_header_at(handle, 0, &name, &value),
        (int)gohttp_request_content_length(handle),
        gohttp_server_set(handle, GOHTTP_OPTION_THREADS, 1),
        gohttp_server_handle(handle, "/x", hello, NULL),
        gohttp_server_listen(handle, ":0"),
        gohttp_server_port(handle),
        gohttp_server_run(handle),
        gohttp_server_shutdown(handle, 0),
        gohttp_server_free(handle),
    };
    int good = 0;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        good += results[i] != GOHTTP_ERROR_HANDLE;
    good += ResponseWriter_Write(handle, buffer, 1) != EOF;
    ResponseWriter_WriteHeader(handle, 500);
    good += gohttp_request_method(handle, &length) != NULL;
    good += gohttp_request_path(handle, &length) != NULL;
    good += gohttp_request_query(handle, NULL) != NULL;
    good += gohttp_request_url(handle, NULL) != NULL;
    good += gohttp_request_host(handle, NULL) != NULL;
    good += gohttp_request_protocol(handle, NULL) != NULL;
    good += gohttp_request_pattern(handle, NULL) != NULL;
    good += gohttp_request_remote_address(handle, NULL) != NULL;
    good += gohttp_request_header(handle, "host", NULL) != NULL;
    good += gohttp_request_query_value(handle, "a", NULL) != NULL;
    good += gohttp_request_path_value(handle, "a", NULL) != NULL;
    if (good) print_number(answer, good);
}

static void stale(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    unsigned kept = atomic_load(&last_handle);
    try_handle(w, kept);
    for (int bit = 0; bit < 32; bit++) try_handle(w, kept ^ 1u << bit);
    try_handle(w, 0);
    try_handle(w, ~0u);
    try_handle(w, server + 1);
    unsigned seed = 1;
    for (int i = 0; i < 10000; i++) {
        seed = seed * 1664525u + 1013904223u;
        try_handle(w, seed);
    }
    print(w, "found out");
}

static void status(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    print_number(w, atomic_load(&last_error));
    print_number(w, atomic_load(&streamed));
}

static void shutdown_now(gohttp_response w, gohttp_request r, void *data) {
    (void)data;
    const char *timeout = gohttp_request_query_value(r, "timeout", NULL);
    gohttp_server_shutdown(server, timeout ? atoll(timeout) : -1);
    print(w, "stopping");
}

static void log_line(int level, const char *message, void *data) {
    fprintf(data, "log %d %s\n", level, message);
}

static void check(const char *what, int result) {
    if (result < 0) {
        fprintf(stderr, "%s: %s: %s\n", what, gohttp_strerror(result), gohttp_last_error());
        exit(1);
    }
}

int main(int argc, char **argv) {
    static const struct {
        const char *pattern;
        gohttp_handler handler;
    } table[] = {
        {"/describe/", describe}, {"/headers", headers},     {"/echo", echo},
        {"/fields", fields},      {"/refusals", refusals},   {"/block", block},
        {"/blocked", count_blocked}, {"/release", release},  {"/later", later},
        {"/together", together},  {"/big", big},             {"/endless", endless},
        {"/cut", cut},            {"/hints", hints},         {"/one-by-one", one_by_one},
        {"/declared", declared},  {"/keep", keep},           {"/stale", stale},
        {"/status", status},      {"/shutdown", shutdown_now},
    };
    check("log", gohttp_set_log(3, log_line, stderr));
    server = gohttp_server_new();
    check("signals", gohttp_server_set(server, GOHTTP_OPTION_SIGNALS, 1));
    check("access log", gohttp_server_set(server, GOHTTP_OPTION_ACCESS_LOG, 1));
    for (int i = 2; i + 1 < argc; i += 2)
        check(argv[i], gohttp_server_set(server, atoi(argv[i]), atoll(argv[i + 1])));
    check("/hello", gohttp_server_handle(server, "/hello", hello, "hello"));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        check(table[i].pattern,
              gohttp_server_handle(server, table[i].pattern, table[i].handler, NULL));
    check("listen", gohttp_server_listen(server, argc > 1 ? argv[1] : "127.0.0.1:0"));
    printf("port %d\n", gohttp_server_port(server));
    fflush(stdout);
    int ended = gohttp_server_run(server);
    printf("run %d\n", ended);
    printf("free %d %d\n", gohttp_server_free(server), gohttp_server_free(server));
    return 0;
}
