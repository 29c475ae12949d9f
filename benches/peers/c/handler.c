// What apps/handle_c_hello.py serves: a handler in C inside a Python server.

#define GOHTTP_MODULE
#include "gohttp.h"

int use_api(const void *api) {
    return gohttp_use(api);
}

void hello(gohttp_response w, gohttp_request r, void *data) {
    (void)r, (void)data;
    gohttp_response_write(w, "Hello, world.\n", 14);
}
