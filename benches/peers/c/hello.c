// The C library's rows: hello ADDRESS article|handler.

#include <string.h>

#include "gohttp.h"

static char text[] = "Hello, world.\n";

static void article(ResponseWriterPtr w, Request *r) {
    (void)r;
    ResponseWriter_Write(w, text, (int)strlen(text));
}

static void handler(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    gohttp_response_write(w, text, strlen(text));
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    if (strcmp(argv[2], "article") == 0) {
        HandleFunc("/", article);
        ListenAndServe(argv[1]);
        return gohttp_last_error()[0] != '\0';
    }
    gohttp_server server = gohttp_server_new();
    gohttp_server_set(server, GOHTTP_OPTION_SIGNALS, 1);
    gohttp_server_handle(server, "/", handler, NULL);
    return gohttp_server_listen(server, argv[1]) < 0 || gohttp_server_run(server) < 0;
}
