"""Functions of C as handlers of a Python server."""

import ctypes
import gc
import gzip
import re
import shutil
import subprocess
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gohttp.c
import gohttp.testing
import pytest
from gohttp import Mux, Request, ResponseWriter
from support import Server, gohttp_serve, rss, wait_until

APPS = Path(__file__).parent / "apps"
MIB = 1024 * 1024
ADA = ("Authorization", "Basic YWRhOjE=")
Handler = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The functions of c_cases.c, compiled against the header that gohttp brings."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("functions of C need a C compiler")
    path = tmp_path_factory.mktemp("c") / "c_cases.so"
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
    source = APPS / "c_cases.c"
    subprocess.run(
        [compiler, *flags, f"-I{gohttp.c.include()}", str(source), "-o", str(path)], check=True
    )
    return path


@pytest.fixture(scope="module", params=["mux", "mixed"])
def server(library: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """One without an event loop, and one with an ASGI app beside."""
    env = {"C_CASES": str(library)}
    with gohttp_serve(f"c_cases:{request.param}", "--threads", "4", cwd=APPS, env=env) as server:
        yield server


@pytest.fixture
def gate(server: Server) -> Iterator[Server]:
    """The server, with its gate closed for the time of a test."""
    assert server.get("/close").text == "closed"
    yield server
    assert server.get("/open").text == "open"
    wait_until(lambda: server.get("/inside").text == "0", "everybody to be through the gate")


def wait_inside(server: Server, count: int) -> None:
    wait_until(lambda: server.get("/inside").text == str(count), f"{count} at the gate")


# --- what a handler is told and does --------------------------------------------------------------


def test_function_of_c_answers_beside_one_of_python(server: Server) -> None:
    response = server.get("/hello")
    assert (response.status, response.text) == (200, "Hello, world.\n")
    assert response.header("content-type") == "text/plain; charset=utf-8"
    assert server.get("/python").text == "Python\n"


def test_request_is_described_as_in_the_c_library(server: Server) -> None:
    response = server.get("/items/a%20b?q=1+2", [("X-Test", "yes")])
    assert response.text == "GET|/items/a%20b|1 2|GET /items/{id}|yes|a b|NULL|NULL|3"
    assert server.get("/tree/x/y%2Fz").text.split("|")[6] == "x/y/z"


def test_patterns_hold_for_functions_of_c(server: Server) -> None:
    refused = server.request("POST", "/items/1")
    assert (refused.status, refused.header("allow")) == (405, "GET, HEAD")
    head = server.request("HEAD", "/items/1")
    assert (head.status, head.body) == (200, b"")
    assert server.get("/tree").header("location") == "/tree/"
    assert server.get("/inner/items/7").text.startswith("GET|/inner/items/7|NULL|GET /items/{id}|")


@pytest.mark.parametrize(
    "body", [b"one\0two\0", b"\0" * 70_000, b""], ids=["short", "long", "none"]
)
def test_body_with_nuls_can_be_read_by_a_function_of_the_articles_type(
    server: Server, body: bytes
) -> None:
    response = server.request("POST", "/article-reads", body=body)
    text = body.partition(b"\0")[0]
    assert response.body == b"%d of %d:%s" % (len(text), len(body), body)


def test_function_of_the_articles_type_is_called_as_such(server: Server) -> None:
    response = server.request("POST", "/article?x=1", body=b"body")
    assert (response.status, response.text) == (201, "POST /article?x=1 test body")


def test_data_is_python_memory(server: Server) -> None:
    assert server.get("/data").text.lower() == "from python"
    assert server.get("/change").status == 200
    assert server.get("/data").text == "FROM Python"


def test_python_behind_a_pointer_to_c_is_called_with_the_gil(server: Server) -> None:
    assert server.get("/python-behind-c").text == "/python-behind-c None"


def test_body_of_any_size_is_read_and_written_piece_by_piece(server: Server) -> None:
    body = bytes(range(256)) * (3 * MIB // 256)
    assert server.request("POST", "/echo", body=body).body == body


def test_body_of_a_slow_client_is_waited_for(server: Server) -> None:
    with server.connect() as client:
        client.send_request("POST", "/echo", [("Transfer-Encoding", "chunked")])
        client.send(b"3\r\nabc\r\n")
        assert server.get("/hello").status == 200
        assert server.get("/python").status == 200
        client.send(b"3\r\ndef\r\n0\r\n\r\n")
        assert client.read_response().text == "abcdef"


def test_handle_kept_after_the_end_is_refused(server: Server) -> None:
    assert server.get("/keep").text == "kept"
    assert server.get("/use-kept").text == "-1"


# --- without the GIL ------------------------------------------------------------------------------


def test_functions_of_c_answer_while_python_keeps_the_gil(gate: Server) -> None:
    with gate.connect() as stuck:
        stuck.send_request("GET", "/keep-gil")
        wait_inside(gate, 1)
        for _ in range(20):
            assert gate.get("/hello").text == "Hello, world.\n"
        with gate.connect() as waiting:
            waiting.send_request("GET", "/block")
            wait_inside(gate, 2)
            assert gate.get("/open").text == "open"
            assert waiting.read_response().text == "passed"
        assert stuck.read_response().text == "passed"


def test_functions_of_c_answer_while_a_kept_loop_has_the_gil(library: Path) -> None:
    env = {"C_CASES": str(library)}
    with (
        gohttp_serve("c_cases:mixed", cwd=APPS, env=env) as server,
        server.connect() as stuck,
    ):
        stuck.send_request("GET", "/asgi/keep-gil")
        wait_inside(server, 1)
        assert server.get("/hello").text == "Hello, world.\n"
        assert server.get("/open").text == "open"
        assert stuck.read_response().text == "asgi"


def test_blocked_functions_of_c_take_no_thread_from_python(gate: Server) -> None:
    with ExitStack() as stack:
        blocked = [stack.enter_context(gate.connect()) for _ in range(2)]
        for number, client in enumerate(blocked, 1):
            client.send_request("GET", "/block")
            wait_inside(gate, number)
        for _ in range(20):
            assert gate.get("/python").text == "Python\n"
        assert gate.get("/open").text == "open"
        assert [client.read_response().text for client in blocked] == ["passed"] * 2


def test_blocked_python_takes_no_thread_from_functions_of_c(gate: Server) -> None:
    with ExitStack() as stack:
        blocked = [stack.enter_context(gate.connect()) for _ in range(8)]
        for client in blocked:
            client.send_request("GET", "/wait")
        wait_inside(gate, 4)
        for _ in range(20):
            assert gate.get("/hello").text == "Hello, world.\n"
        assert gate.get("/open").text == "open"
        assert [client.read_response().text for client in blocked] == ["passed"] * 8


# --- behind ready-made middleware: one that answers at once, and one that asks a function of Python


@pytest.mark.parametrize("prefix", ["/known", "/asked"])
def test_layers_stand_before_functions_of_c(server: Server, prefix: str) -> None:
    assert server.get(f"{prefix}/items/7").status == 401
    plain = server.get("/items/7", [ADA])
    response = server.get(f"{prefix}/items/7", [ADA, ("Accept-Encoding", "gzip")])
    assert (response.status, response.header("content-encoding")) == (200, "gzip")
    told = gzip.decompress(response.body).decode()
    assert "7" in plain.text
    assert told == plain.text.replace("/items", f"{prefix}/items", 1)
    with server.connect() as client:
        client.send_request("POST", f"{prefix}/echo", [ADA], b"x" * MIB)
        assert client.read_response().body == b"x" * MIB


@pytest.mark.parametrize("prefix", ["/known", "/asked"])
def test_behind_layers_too_they_take_no_thread_from_python(gate: Server, prefix: str) -> None:
    with ExitStack() as stack:
        blocked = [stack.enter_context(gate.connect()) for _ in range(2)]
        for number, client in enumerate(blocked, 1):
            client.send_request("GET", f"{prefix}/block", [ADA])
            wait_inside(gate, number)
        for _ in range(20):
            assert gate.get("/python").text == "Python\n"
        assert gate.get("/open").text == "open"
        assert [client.read_response().text for client in blocked] == ["passed"] * 2


# --- clients that go, time-outs, the end ----------------------------------------------------------


def test_clients_that_take_nothing_stop_nobody_and_their_going_is_told(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(server.connect())
            client.send_request("GET", "/endless")
            assert client.read_head().status == 200
        assert server.get("/hello").status == 200
        assert server.get("/python").status == 200
    wait_until(lambda: server.get("/error").text == "-4", "GOHTTP_ERROR_GONE")


def test_detached_response_is_ended_by_another_thread(gate: Server) -> None:
    with gate.connect() as client:
        client.send_request("GET", "/later")
        wait_inside(gate, 1)
        assert gate.get("/open").text == "open"
        assert client.read_response().text == "/later"


def test_request_that_takes_too_long_is_answered_with_504(library: Path) -> None:
    env = {"C_CASES": str(library)}
    with gohttp_serve("c_cases:mux", "--request-timeout", "0.5", cwd=APPS, env=env) as server:
        assert server.get("/block").status == 504
        assert server.get("/open").text == "open"
        assert server.get("/block").text == "passed"


@pytest.mark.parametrize("target", ["mux", "mixed"])
def test_stop_waits_for_functions_of_c(library: Path, target: str) -> None:
    env = {"C_CASES": str(library)}
    with (
        gohttp_serve(f"c_cases:{target}", cwd=APPS, env=env) as server,
        server.connect() as blocked,
        server.connect() as opener,
    ):
        blocked.send_request("GET", "/block")
        wait_inside(server, 1)
        # On its way when the stop begins: a connection that has begun a request is waited for.
        opener.send(b"GET /open HTTP/1.1\r\n")
        server.signal()
        server.wait_for_log("(?i)stopping|shutting|draining|SIGTERM")
        opener.send(b"Host: test\r\n\r\n")
        assert opener.read_response().text == "open"
        assert blocked.read_response().text == "passed"
        assert server.wait() == 0


@pytest.mark.parametrize("target", ["mux", "mixed"])
def test_function_that_does_not_return_is_abandoned_at_the_end(library: Path, target: str) -> None:
    env = {"C_CASES": str(library)}
    options = ("--graceful-timeout", "0.5")
    with (
        gohttp_serve(f"c_cases:{target}", *options, cwd=APPS, env=env, exit_code=None) as server,
        server.connect() as blocked,
    ):
        blocked.send_request("GET", "/block")
        wait_inside(server, 1)
        server.signal()
        assert server.wait() == 1


def test_memory_stays_flat(server: Server) -> None:
    def work(count: int) -> None:
        request = b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody"
        with server.connect() as client:
            for _ in range(count // 50):
                client.send(request * 50)
                for _ in range(50):
                    assert client.read_response().body == b"body"
        for _ in range(count // 200):
            with server.connect() as gone:
                gone.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nbody")
        assert server.get("/inside").status == 200

    work(2000)
    before = rss(server.pid)
    work(4000)
    assert rss(server.pid) - before < 2 * MIB


# --- registering ----------------------------------------------------------------------------------


def never(w: int, r: int, data: int | None) -> None:
    raise AssertionError


GOOD = Handler(never)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (never, r"takes a function of C: .*; not <function never .*route\(\)"),
        (True, "takes a function of C"),
        ("hello", "takes a function of C"),
        (ctypes.CFUNCTYPE(None, ctypes.c_uint32)(print), "arguments are 4 bytes, those of a"),
        (ctypes.CFUNCTYPE(None)(print), "arguments are none, those of a gohttp_handler are 4"),
    ],
)
def test_what_is_no_such_function_is_refused(function: object, sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        Mux().handle_c("/", function)


@pytest.mark.parametrize("address", [0, -1, 1 << 64])
def test_what_is_no_address_is_refused(address: int) -> None:
    with pytest.raises(ValueError, match="a function cannot be at address"):
        Mux().handle_c("/", address)


def test_signature_is_one_of_two_and_fits() -> None:
    with pytest.raises(ValueError, match="signature is 'gohttp_handler' or 'FuncPtr', not 'other'"):
        Mux().handle_c("/", GOOD, signature="other")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is no FuncPtr: its arguments are 4 bytes, 4 bytes, 8"):
        Mux().handle_c("/", GOOD, signature="FuncPtr")
    with pytest.raises(TypeError, match="a FuncPtr is given no data"):
        Mux().handle_c("/", 4096, signature="FuncPtr", user=1)


@pytest.mark.parametrize("user", ["text", 1.5, True, object(), memoryview(b"read-only")])
def test_data_that_is_no_memory_is_refused(user: object) -> None:
    with pytest.raises(TypeError, match=r"user= is an address, a PyCapsule, .*, not "):
        Mux().handle_c("/", GOOD, user=user)


def test_pattern_is_checked_as_for_others() -> None:
    mux = Mux()
    mux.handle_c("/{kind}/latest", GOOD)
    with pytest.raises(ValueError, match=r"/posts/\{id\}.*/\{kind\}/latest"):
        mux.route("/posts/{id}", print)
    with pytest.raises(ValueError, match="no slash"):
        mux.handle_c("no slash", GOOD)
    with pytest.raises(TypeError, match="needs a pattern"):
        mux.handle_c(GOOD, "/")  # type: ignore[arg-type]


def test_functions_of_python_cannot_be_put_around_one_of_c() -> None:
    before, after = Mux(), Mux()
    before.use(lambda handler: handler)
    with pytest.raises(RuntimeError, match="register it on a Mux of its own and mount that"):
        before.handle_c("/", GOOD)
    after.handle_c("/", GOOD)
    with pytest.raises(RuntimeError, match="before the routes"):
        after.use(lambda handler: handler)
    before.mount("/c", after)


class Capsules:
    """Capsules, as Cython and others make them."""

    new: Any = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
    )(("PyCapsule_New", ctypes.pythonapi))


SIGNATURE = b"void (gohttp_response, gohttp_request, void *)"


@pytest.mark.parametrize("form", ["ctypes", "address", "capsule", "signed capsule", "cfunc"])
def test_function_and_data_come_in_many_forms(form: str) -> None:
    def handler(w: int, r: int, data: int | None) -> None:
        text = ctypes.string_at(data or 0)
        gohttp.c.functions.gohttp_response_write(w, text, len(text))

    class CFunc:
        """As numba's."""

        ctypes = Handler(handler)

    function = CFunc.ctypes
    address = ctypes.cast(function, ctypes.c_void_p).value
    buffer = ctypes.create_string_buffer(b"data")
    functions = {
        "ctypes": function,
        "address": address,
        "capsule": Capsules.new(address, None, None),
        "signed capsule": Capsules.new(address, SIGNATURE, None),
        "cfunc": CFunc,
    }
    users = [
        buffer,
        ctypes.addressof(buffer),
        ctypes.pointer(buffer),
        ctypes.cast(buffer, ctypes.c_char_p),
        ctypes.cast(buffer, ctypes.c_void_p),
        b"data",
        bytearray(b"data\0"),
        Capsules.new(ctypes.addressof(buffer), b"data", None),
    ]
    mux = Mux()
    for number, user in enumerate(users):
        mux.handle_c(f"/{number}", functions[form], user=user)
    with gohttp.testing.serve(mux) as url:
        for number in range(len(users)):
            assert fetch(f"{url}/{number}") == b"data", users[number]


def test_capsule_whose_name_tells_another_signature_is_refused() -> None:
    with pytest.raises(TypeError, match="arguments are 4 bytes, 8 bytes, those of a gohttp_handl"):
        Mux().handle_c("/", Capsules.new(4096, b"void (int, char *)", None))


def test_function_and_data_live_as_long_as_the_mux() -> None:
    class Data(bytearray):
        """One that can be watched."""

    def watched() -> tuple[Mux, list[weakref.ref[Any]]]:
        function, data = Handler(never), Data(b"data")
        mux = Mux()
        mux.handle_c("/", function, user=data)
        return mux, [weakref.ref(function), weakref.ref(data)]

    mux, references = watched()
    gc.collect()
    assert all(reference() is not None for reference in references)
    del mux
    gc.collect()
    assert all(reference() is None for reference in references)


def test_function_may_be_registered_while_a_server_runs() -> None:
    @Handler
    def handler(w: int, r: int, data: int | None) -> None:
        gohttp.c.functions.gohttp_response_write(w, b"late", 4)

    def early(w: ResponseWriter, req: Request) -> None:
        mux.handle_c("/late", handler)

    mux = Mux()
    mux.route("/early", early)
    with gohttp.testing.serve(mux) as url:
        fetch(f"{url}/early")
        assert fetch(f"{url}/late") == b"late"


def fetch(url: str) -> bytes:
    from urllib.request import urlopen

    with urlopen(url, timeout=10) as response:
        body: bytes = response.read()
    return body


# --- what functions of C may call -----------------------------------------------------------------


def header() -> str:
    return (Path(gohttp.c.include()) / "gohttp.h").read_text()


def test_table_macros_and_prototypes_are_of_the_same_functions() -> None:
    struct = re.search(r"struct gohttp_api \{\n(.*?)\n\};", header(), re.DOTALL)
    assert struct is not None
    fields = re.findall(r"\(\*(\w+)\)\(", struct[1])
    assert sorted(fields) == dir(gohttp.c.functions)
    assert re.findall(r"^#define (\w+) \(gohttp->\1\)$", header(), re.MULTILINE) == fields
    declared = re.findall(
        r"^\S.*?\b(gohttp_re(?:quest|sponse)_\w+)\(",
        header().split("#ifdef GOHTTP_MODULE")[0],
        re.MULTILINE,
    )
    assert set(declared) <= set(fields)


def test_functions_are_those_of_the_table() -> None:
    assert gohttp.c.functions.gohttp_strerror(-4) == b"the client has gone"
    assert gohttp.c.functions.gohttp_response_write(12345, b"x", 1) == -1
    assert gohttp.c.functions.gohttp_last_error() == b"the handle is stale or was never one"
    address = gohttp.c.address("gohttp_strerror")
    strerror = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_int)(address)
    assert strerror(0) == b"success"


def test_what_there_is_not_is_told() -> None:
    with pytest.raises(ValueError, match="no function 'gohttp_server_run' for handlers"):
        gohttp.c.address("gohttp_server_run")
    with pytest.raises(AttributeError, match="no function 'gohttp_none' for handlers"):
        _ = gohttp.c.functions.gohttp_none


def test_older_table_is_refused(library: Path) -> None:
    use = ctypes.CDLL(str(library)).use_api
    small = ctypes.c_size_t(8)
    assert use(None) == -2
    assert use(ctypes.byref(small)) == -2
    assert use(ctypes.c_void_p(gohttp.c.api())) == 0


def test_capsule_is_found_as_c_finds_it() -> None:
    get = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)(
        ("PyCapsule_Import", ctypes.pythonapi)
    )
    assert get(b"gohttp._C_API", 0) == gohttp.c.api()


def test_module_has_no_symbols_of_the_library() -> None:
    module = ctypes.CDLL(gohttp._gohttp.__file__)
    for name in ("HandleFunc", "ResponseWriter_Write", "gohttp_response_write"):
        with pytest.raises(AttributeError, match="undefined symbol"):
            getattr(module, name)
