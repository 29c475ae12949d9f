"""Compile fast.c into the module `_fast` by cffi: python build_fast.py [DIRECTORY]."""

import sys
from pathlib import Path

import cffi
import gohttp.c

HERE = Path(__file__).parent

builder = cffi.FFI()
builder.cdef("""
    int gohttp_use(const void *api);
    struct counter { ...; };
    void greet(uint32_t w, uint32_t r, void *data);
    void adler(uint32_t w, uint32_t r, void *data);
    long requests_so_far(struct counter *counter);
""")
builder.set_source(
    "_fast",
    """
    #include "fast.c"
    static long requests_so_far(struct counter *counter) {
        return atomic_load(&counter->requests);
    }
    """,
    include_dirs=[gohttp.c.include(), str(HERE)],
)

if __name__ == "__main__":
    builder.compile(tmpdir=sys.argv[1] if len(sys.argv) > 1 else str(HERE))
