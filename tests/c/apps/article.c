#define _POSIX_C_SOURCE 200809L

// A program for the 2016 library: its names and types, and nothing else. It declares what it uses a
// second time, so that a type that differs does not compile.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gohttp.h"

extern void HandleFunc(char *pattern, FuncPtr *fn);
extern void ListenAndServe(char *addr);
extern void Shutdown(void);
extern int ResponseWriter_Write(ResponseWriterPtr w, char *buf, int length);
extern void ResponseWriter_WriteHeader(ResponseWriterPtr w, int code);

FuncPtr index_page, about, stop, odd;

static void put(ResponseWriterPtr w, const char *text) {
    int length = (int)strlen(text);
    if (ResponseWriter_Write(w, (char *)text, length) != length) fprintf(stderr, "write failed\n");
}

void index_page(ResponseWriterPtr w, Request *r) {
    const char *parts[] = {r->Method, r->Host, r->URL, r->Headers, r->Body};
    unsigned int number = w;
    if (strcmp(r->Method, "PUT") == 0) ResponseWriter_WriteHeader(number, 201);
    for (int i = 0; i < 5; i++) {
        put(w, parts[i]);
        put(w, "|");
    }
}

void about(ResponseWriterPtr w, Request *r) {
    (void)r;
    put(w, "Hello, world.\n");
}

void stop(ResponseWriterPtr w, Request *r) {
    (void)r;
    Shutdown();
    put(w, "stopping\n");
}

// What the article's functions say to arguments that are no good.
void odd(ResponseWriterPtr w, Request *r) {
    (void)r;
    char text[128], data[] = "x";
    ResponseWriter_WriteHeader(w, 99);
    ResponseWriter_WriteHeader(w, 202);
    ResponseWriter_WriteHeader(w, 500);
    ResponseWriter_WriteHeader(w + 1, 500);
    snprintf(text, sizeof text, "%d %d %d %d %d", EOF, ResponseWriter_Write(w, data, -1),
             ResponseWriter_Write(0, data, 1), ResponseWriter_Write(w ^ 1u << 20, data, 1),
             ResponseWriter_Write(w, NULL, 0));
    put(w, text);
}

int main(int argc, char **argv) {
    static struct {
        char *pattern;
        FuncPtr *fn;
    } table[] = {{"/", index_page}, {"/about", about}, {"/stop", stop}, {"/odd", odd}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        HandleFunc(table[i].pattern, table[i].fn);
    if (argc < 2) return 2;
    ListenAndServe(argv[1]);
    printf("ended\n");
    fflush(stdout);
    // A second argument: the program has more to do.
    while (argc > 2) sleep(1);
    return 0;
}
