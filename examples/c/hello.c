// The 2016 article's program in C: five functions, and a library that does the rest.
//
//     make example-c && build/c/hello 127.0.0.1:5000

#include <string.h>

#include "gohttp.h"

static void index_page(ResponseWriterPtr w, Request *r) {
    (void)r;
    char text[] = "Hello, world.\n";
    ResponseWriter_Write(w, text, (int)strlen(text));
}

static void missing(ResponseWriterPtr w, Request *r) {
    (void)r;
    char text[] = "There is nothing here.\n";
    ResponseWriter_WriteHeader(w, 404);
    ResponseWriter_Write(w, text, (int)strlen(text));
}

int main(int argc, char **argv) {
    HandleFunc("/", index_page);
    HandleFunc("/missing", missing);
    ListenAndServe(argc > 1 ? argv[1] : "127.0.0.1:5000");
    return gohttp_last_error()[0] != '\0';
}
