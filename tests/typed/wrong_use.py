"""What a type checker must find: each line with a comment `# wrong` is one error."""

from gohttp import Mux, Request, ResponseWriter, route, run

mux = Mux()


@mux.route("/")
def handler(w: ResponseWriter, req: Request) -> None:
    w.write(7)  # wrong
    w.text(b"bytes")  # wrong
    w.headers["X"] = 1  # wrong
    w.trailers["X"] = None  # wrong
    req.query["x"] + 1  # wrong
    req.cookies["x"].decode()  # wrong
    req.form().nothing()  # wrong
    req.set_deadline("soon")  # wrong
    w.sse().send(name="x")  # wrong
    w.websocket(req).send(7)  # wrong
    w.nothing()  # wrong
    req.method = "GET"  # wrong
    w.headers.update({"X": 1})  # wrong
    w.set_cookie("a", "1", max_aeg=60)  # wrong
    w.set_cookie("a", "1", same_site="Lax")  # wrong
    w.set_cookie("a", "1", "/")  # wrong
    req.form().files["f"][0].nothing()  # wrong
    req.form().files["f"].save_as("x")  # wrong


def one_argument(w: ResponseWriter) -> None: ...


def three_arguments(w: ResponseWriter, req: Request, more: str) -> None: ...


def the_other_way_round(req: Request, w: ResponseWriter) -> None: ...


async def of_asgi(scope: dict[str, str], receive: object, send: object) -> None: ...


mux.route("/none", None)  # wrong
mux.route(7, handler)  # wrong
mux.mount(7, handler)  # wrong
mux.route("/one", one_argument)  # wrong
mux.route("/three", three_arguments)  # wrong
mux.route("/round", the_other_way_round)  # wrong
mux.route("/asgi", of_asgi)  # wrong
route("/one", one_argument)  # wrong
run(7)  # wrong


@mux.route("/none")  # wrong
def nothing() -> None: ...
