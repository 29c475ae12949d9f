"""What a type checker must find: each line with a comment `# wrong` is one error."""

from gohttp import Mux, Request, ResponseWriter

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


mux.route("/none", None)  # wrong
mux.route(7, handler)  # wrong
mux.mount(7, handler)  # wrong
