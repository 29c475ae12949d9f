"""WebSockets beside ordinary routes: flask-sock, which takes the socket out of environ."""

import threading

from events import record
from flask import Flask, Response, jsonify, request
from flask_sock import Sock
from simple_websocket import ConnectionClosed, Server

app = Flask(__name__)
app.config["SOCK_SERVER_OPTIONS"] = {"subprotocols": ["chat.v2", "chat.v1"]}
sock = Sock(app)
rooms: dict[str, list[Server]] = {}
lock = threading.Lock()


@app.get("/plain")
def plain() -> Response:
    return jsonify(query=request.args)


@app.get("/either")
def either() -> str:
    """A route that answers a request to upgrade as any other."""
    return "could upgrade" if "gunicorn.socket" in request.environ else "could not"


@sock.route("/echo")
def echo(ws: Server) -> None:
    while True:
        ws.send(ws.receive())


@sock.route("/greet/<name>")
def greet(ws: Server, name: str) -> None:
    """Speaks first, and sees the request of the handshake."""
    ws.send(f"Hello {name}, {request.args['title']}, {request.cookies.get('seen')}")
    ws.receive()


@sock.route("/close/<int:code>")
def close(ws: Server, code: int) -> None:
    ws.receive()
    ws.close(code, "go away")


@sock.route("/returns")
def returns(ws: Server) -> None:
    ws.send("the only message")


@sock.route("/watched/<token>")
def watched(ws: Server, token: str) -> None:
    try:
        while True:
            ws.send(ws.receive())
    except ConnectionClosed as closed:
        record(f"{token} closed {int(closed.reason)} {closed.message or ''}".rstrip())
        raise


@sock.route("/room/<name>")
def room(ws: Server, name: str) -> None:
    """What one says all hear, sent by the thread of the one who said it."""
    with lock:
        members = rooms.setdefault(name, [])
        members.append(ws)
    ws.send("joined")
    while True:
        message = ws.receive()
        with lock:
            for member in members:
                member.send(message)


@sock.route("/fails")
def fails(ws: Server) -> None:
    ws.receive()
    raise ZeroDivisionError("the WebSocket divides by zero")
