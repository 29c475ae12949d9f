"""Flask-SocketIO on threads: by WebSocket through the socket in environ, or by polling."""

from typing import Any

from events import record
from flask import Flask, Response, jsonify, request, session
from flask_socketio import Namespace, SocketIO, emit, join_room, leave_room, rooms, send

app = Flask(__name__)
app.secret_key = "a secret"
# A poll that crosses the client's farewell waits for the next ping.
socketio = SocketIO(app, async_mode="threading", ping_interval=1)


@app.get("/plain")
def plain() -> Response:
    return jsonify(mode=socketio.async_mode)


@app.post("/announce")
def announce() -> tuple[str, int]:
    """An ordinary request that speaks to all who are connected."""
    socketio.emit("announced", request.get_json())
    return "", 204


@socketio.on("connect")
def connect(auth: dict[str, Any] | None) -> bool | None:
    if auth and auth.get("token") == "wrong":
        return False
    session["name"] = (auth or {}).get("name", "nobody")
    emit("welcome", session["name"])
    return None


@socketio.on("disconnect")
def disconnect(_: str) -> None:
    record(f"gone {session['name']}")


@socketio.on("message")
def message(data: str) -> None:
    send(f"heard {data}")


@socketio.on("add")
def add(one: int, two: int) -> tuple[int, str]:
    """What is returned is the acknowledgement."""
    return one + two, session["name"]


@socketio.on("echo")
def echo(data: Any) -> Any:
    return data


@socketio.on("say")
def say(text: str) -> None:
    emit("said", [session["name"], text], broadcast=True, include_self=False)


@socketio.on("join")
def join(room: str) -> list[str]:
    join_room(room)
    return sorted(set(rooms()) - {request.sid})


@socketio.on("leave")
def leave(room: str) -> list[str]:
    leave_room(room)
    return sorted(set(rooms()) - {request.sid})


@socketio.on("say to")
def say_to(room: str, text: str) -> None:
    emit("said", [session["name"], text], to=room)


@socketio.on("count")
def count(upto: int) -> None:
    """Emits from a thread of its own."""
    sid = request.sid

    def emit_all() -> None:
        for number in range(upto):
            socketio.emit("number", number, to=sid)

    socketio.start_background_task(emit_all)


@socketio.on_error()
def failed(error: Exception) -> str:
    return f"failed: {error}"


@socketio.on("fail")
def fail() -> None:
    raise ValueError("the event is wrong")


class Shop(Namespace):
    def on_price(self, item: str) -> dict[str, Any]:
        return {"item": item, "price": len(item)}


socketio.on_namespace(Shop("/shop"))
