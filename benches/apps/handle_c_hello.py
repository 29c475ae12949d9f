"""A handler in C inside a Python server: ``handle_c_hello.py PORT``."""

import ctypes
import sys
from pathlib import Path

import gohttp.c
from gohttp import Mux, run

library = ctypes.CDLL(str(Path(__file__).parents[1] / ".cache" / "c" / "handler.so"))
if library.use_api(ctypes.c_void_p(gohttp.c.api())) != 0:
    raise SystemExit("handler.so was compiled with a newer gohttp.h")

mux = Mux()
mux.handle_c("/", library.hello)

if __name__ == "__main__":
    run(mux, host="127.0.0.1", port=int(sys.argv[1]))
