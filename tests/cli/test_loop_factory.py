"""`--loop module:factory`: an event loop that the app's people make themselves."""

import pytest
from support import gohttp_serve, run_gohttp

APP = """
    import asyncio

    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await asyncio.sleep(0.001)
        loop = type(asyncio.get_running_loop())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = f"{loop.__module__}.{loop.__name__}".encode()
        await send({"type": "http.response.body", "body": body})
"""
LOOPS = """
    import asyncio, uvloop

    class Mine(asyncio.SelectorEventLoop):
        pass

    def selector():
        return Mine()

    def uv():
        return uvloop.new_event_loop()

    def none():
        return None

    def broken():
        raise RuntimeError("no loop today")

    def wants(one):
        return one

    number = 5
"""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("loop", "body"), [("loops:selector", b"loops.Mine"), ("loops:uv", b"uvloop.Loop")]
)
def test_the_app_runs_on_it(write_app, loop: str, body: bytes, workers: int) -> None:
    write_app(LOOPS, name="loops")
    app = write_app(APP)
    with gohttp_serve(app.target, "--loop", loop, cwd=app.cwd, workers=workers) as server:
        for _ in range(20):
            assert server.get("/").body == body
        log = "\n".join(server.log())
        assert f"loop       {loop}" in log
        sentence = f"The event loop of --loop {loop} cannot host the engine, which runs on a second"
        assert log.count(sentence) == workers


def test_from_the_file_and_below_info(write_app) -> None:
    write_app(LOOPS, name="loops")
    app = write_app(APP)
    (app.cwd / "gohttp.toml").write_text('loop = "asyncio:SelectorEventLoop"\n')
    with gohttp_serve(app.target, cwd=app.cwd) as server:
        assert server.get("/").body.endswith(b"SelectorEventLoop")


@pytest.mark.parametrize(
    ("loop", "sentence", "code"),
    [
        ("lops:selector", "--loop lops:selector: There is no module 'lops'", 2),
        ("loops:selectr", "has no attribute 'selectr'; did you mean", 2),
        ("loops:number", "--loop loops:number: that is an int, which cannot be called.", 2),
        ("loops:wants", "is called without arguments, and this one needs 1.", 2),
        ("loops:none", "--loop loops:none gave a NoneType, which is not an event loop.", 2),
        ("loops:broken", "--loop loops:broken could not be called: RuntimeError", 3),
        ("bad:x", "--loop: bad could not be imported: ZeroDivisionError", 3),
        ("uvlop", '--loop: "uvlop" is not one of auto, asyncio, uvloop, or module:factory', 2),
    ],
)
def test_what_is_wrong_with_it(write_app, loop: str, sentence: str, code: int) -> None:
    write_app(LOOPS, name="loops")
    write_app("1 / 0", name="bad")
    app = write_app(APP)
    done = run_gohttp("serve", app.target, "--port", "0", "--loop", loop, cwd=app.cwd)
    assert done.returncode == code, done.stderr
    last = done.stderr.splitlines()[-1]
    assert sentence in last, done.stderr
    assert last.startswith("gohttp: --loop")
