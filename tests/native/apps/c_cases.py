"""A site with the handlers of c_cases.c, some in Python, and, as `mixed`, an ASGI app."""

import ctypes
import os
from typing import Any

import gohttp.c
from gohttp import Mux, Request, ResponseWriter, middleware

PATH = os.environ["C_CASES"]
cases = ctypes.CDLL(PATH)
with_gil = ctypes.PyDLL(PATH)  # its functions are called with the GIL kept
assert cases.use_api(ctypes.c_void_p(gohttp.c.api())) == 0

text = bytearray(b"from Python\0")


def keep_gil(w: ResponseWriter, req: Request) -> None:
    with_gil.pass_gate()
    w.write("passed")


def wait(w: ResponseWriter, req: Request) -> None:
    cases.pass_gate()
    w.write("passed")


def change(w: ResponseWriter, req: Request) -> None:
    text[:4] = b"FROM"
    w.write("changed")


def hello_from_python(w: ResponseWriter, req: Request) -> None:
    w.write("Python\n")


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        if scope["path"].endswith("/keep-gil"):
            with_gil.pass_gate()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"asgi"})


@ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)
def python_behind_c(w: int, r: int, data: int | None) -> None:
    body = f"{gohttp.c.functions.gohttp_request_path(r, None).decode()} {data}".encode()
    gohttp.c.functions.gohttp_response_write(w, body, len(body))


def site() -> Mux:
    mux = Mux()
    for pattern, function in {
        "/hello": cases.hello,
        "GET /open": cases.open_gate,
        "/close": cases.close_gate,
        "/inside": cases.count_inside,
        "/block": cases.block,
        "/block/{number}": cases.block,
        "POST /echo": cases.echo,
        "/endless": cases.endless,
        "/error": cases.tell_error,
        "/keep": cases.keep,
        "/use-kept": cases.use_kept,
        "/later": cases.later,
        "GET /items/{id}": cases.describe,
        "/tree/{rest...}": cases.describe,
        "/python-behind-c": python_behind_c,
    }.items():
        mux.handle_c(pattern, function)
    mux.handle_c("/data", cases.give_data, user=text)
    mux.handle_c("/article", cases.article, signature="FuncPtr")
    mux.handle_c("/article-reads", cases.article_reads, signature="FuncPtr")
    mux.route("/python", hello_from_python)
    mux.route("/keep-gil", keep_gil)
    mux.route("/wait", wait)
    mux.route("/change", change)
    inner = Mux()
    inner.handle_c("GET /items/{id}", cases.describe)
    mux.mount("/inner", inner)
    for prefix, check in {
        "/known": {"ada": "1"},
        "/asked": lambda name, password: password == "1",
    }.items():
        layered = Mux()
        layered.use(middleware.compress(codings=["gzip"], min_size=0), middleware.basic_auth(check))
        layered.handle_c("/block", cases.block)
        layered.handle_c("POST /echo", cases.echo)
        layered.handle_c("GET /items/{id}", cases.describe)
        mux.mount(prefix, layered)
    return mux


mux = site()
mixed = site()
mixed.mount("/asgi", asgi)
