"""Handlers in C and in Python: python build_fast.py, then gohttp serve fast_app:mux."""

import gohttp.c
from _fast import ffi, lib
from gohttp import Mux, Request, ResponseWriter

if lib.gohttp_use(ffi.cast("void *", gohttp.c.api())) != 0:
    raise ImportError("gohttp is older than the gohttp.h that _fast was compiled with")

counter = ffi.new("struct counter *")
mux = Mux()
mux.handle_c("GET /greet/{name}", ffi.addressof(lib, "greet"), user=counter)
mux.handle_c("POST /adler", ffi.addressof(lib, "adler"), user=counter)


@mux.route("GET /count")
def count(w: ResponseWriter, req: Request) -> None:
    """Say how often the functions of C have been called."""
    w.write(f"{lib.requests_so_far(counter)}\n")
