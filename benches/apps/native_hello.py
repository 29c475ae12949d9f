"""The article's own program, on gohttp: ``native_hello.py PORT``."""

import sys

from gohttp import Request, ResponseWriter, route, run


@route("/")
def hello(w: ResponseWriter, req: Request) -> None:
    w.write(b"Hello, world.\n")


if __name__ == "__main__":
    run("127.0.0.1", int(sys.argv[1]))
