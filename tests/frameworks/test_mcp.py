"""An MCP server over streamable HTTP (apps/mcp_app.py), with the client of the same package."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from mcp import Client

from .asgi_clients import TIMEOUT, http_client, loop_of, on_both_loops, open_gate
from .serving import Server, Setup, eventually, serve

Mode = Literal["legacy", "auto"]


@pytest.fixture(scope="module", params=on_both_loops())
def setup(request: pytest.FixtureRequest) -> Setup:
    return loop_of(request)


@pytest.fixture(scope="module")
def server(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve("mcp_app:app", setup, tmp_path_factory.mktemp("mcp")) as server:
        yield server


@pytest.fixture(params=["legacy", "auto"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """With sessions, as clients have done it for long; and what client and server agree on."""
    mode: Mode = request.param
    return mode


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with http_client(server) as client:
        yield client


def mcp(server: Server, mode: Mode) -> Client:
    return Client(f"{server.url}/mcp", mode=mode, read_timeout_seconds=TIMEOUT)


def text_of(result: Any) -> str:
    (content,) = result.content
    return str(content.text)


def test_tools_run_on_the_chosen_loop(server: Server, setup: Setup, mode: Mode) -> None:
    async def talk() -> None:
        async with mcp(server, mode) as client:
            assert text_of(await client.call_tool("loop")).split(".")[0] == setup.loop

    asyncio.run(talk())


def test_server_says_what_it_offers(server: Server, mode: Mode) -> None:
    async def talk() -> None:
        async with mcp(server, mode) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert tools["price"].description == "What so many of it cost."
            prompts = await client.list_prompts()
            assert [prompt.name for prompt in prompts.prompts] == ["greet"]
            templates = await client.list_resource_templates()
            assert [each.uri_template for each in templates.resource_templates] == ["note://{name}"]

    asyncio.run(talk())


def test_tool_answers_with_its_result(server: Server, mode: Mode) -> None:
    async def talk() -> None:
        async with mcp(server, mode) as client:
            for count in range(1, 6):
                result = await client.call_tool("price", {"item": "tea", "count": count})
                assert result.structured_content == {"result": 3 * count}

    asyncio.run(talk())


def test_resource_and_prompt_are_read(server: Server, mode: Mode) -> None:
    async def talk() -> None:
        async with mcp(server, mode) as client:
            (note,) = (await client.read_resource("note://zoe")).contents
            assert getattr(note, "text", None) == "the note of zoe"
            (message,) = (await client.get_prompt("greet", {"name": "Zoë"})).messages
            assert getattr(message.content, "text", None) == "Greet Zoë."

    asyncio.run(talk())


def test_large_argument_and_result_arrive_whole(server: Server, mode: Mode) -> None:
    async def talk() -> None:
        text = "Grüße 東京 🚀 " * 30_000
        async with mcp(server, mode) as client:
            result = await client.call_tool("digest", {"text": text})
            assert text_of(result) == hashlib.sha256(text.encode()).hexdigest()
            assert text_of(await client.call_tool("large", {"size": 400_000})) == "x" * 400_000

    asyncio.run(talk())


def test_progress_comes_before_the_result(server: Server, mode: Mode) -> None:
    async def talk() -> None:
        steps = []

        async def progressed(progress: float, total: float | None, message: str | None) -> None:
            steps.append((progress, total, message))

        async with mcp(server, mode) as client:
            result = await client.call_tool("work", {"steps": 20}, progress_callback=progressed)
        assert text_of(result) == "worked"
        assert steps == [(n, 20, f"step {n}") for n in range(1, 21)]

    asyncio.run(talk())


def test_progress_is_sent_while_the_tool_works(server: Server, mode: Mode) -> None:
    async def talk() -> None:
        # The tool waits for the gate: were the progress held back, it would stay shut.
        async def progressed(progress: float, total: float | None, message: str | None) -> None:
            assert message == "waiting"
            open_gate(server, f"mcp-{mode}")

        async with mcp(server, mode) as client:
            result = await client.call_tool(
                "gated", {"token": f"mcp-{mode}"}, progress_callback=progressed
            )
        assert text_of(result) == f"passed mcp-{mode}"

    asyncio.run(talk())


def test_calls_of_one_client_run_at_once(server: Server, mode: Mode) -> None:
    async def talk() -> None:
        async with mcp(server, mode) as client:
            waiting = asyncio.create_task(client.call_tool("gated", {"token": f"last-{mode}"}))
            calls = [client.call_tool("price", {"item": "x" * n}) for n in range(20)]
            results = await asyncio.gather(*calls)
            assert [result.structured_content for result in results] == [
                {"result": n} for n in range(20)
            ]
            assert not waiting.done()
            open_gate(server, f"last-{mode}")
            assert text_of(await waiting) == f"passed last-{mode}"

    asyncio.run(talk())


def test_many_clients_get_their_own_answers(server: Server, mode: Mode) -> None:
    async def visit(number: int) -> list[str]:
        async with mcp(server, mode) as client:
            return [
                text_of(await client.call_tool("price", {"item": "x" * number})) for _ in range(3)
            ]

    async def all_visits() -> list[list[str]]:
        return await asyncio.gather(*(visit(number) for number in range(10)))

    assert asyncio.run(all_visits()) == [[str(number)] * 3 for number in range(10)]


def test_tool_that_fails_is_an_error_and_the_session_lives_on(server: Server, mode: Mode) -> None:
    async def talk() -> None:
        async with mcp(server, mode) as client:
            result = await client.call_tool("fails")
            assert result.is_error
            assert (await client.call_tool("price", {"item": "tea"})).is_error is False

    asyncio.run(talk())


def test_tool_is_cancelled_when_the_client_gives_up(server: Server, mode: Mode) -> None:
    async def talk() -> None:
        waiting = asyncio.Event()

        async def progressed(progress: float, total: float | None, message: str | None) -> None:
            waiting.set()

        async with mcp(server, mode) as client:
            call = asyncio.create_task(
                client.call_tool("waits", {"token": mode}, progress_callback=progressed)
            )
            await asyncio.wait_for(waiting.wait(), TIMEOUT)
            assert f"left {mode}" not in server.events()
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    asyncio.run(talk())
    assert server.recorded(f"left {mode}")


def test_server_that_answers_with_plain_json_works_too(setup: Setup, tmp_path: Path) -> None:
    async def talk(server: Server) -> None:
        async with mcp(server, "legacy") as client:
            assert text_of(await client.call_tool("price", {"item": "tea"})) == "3"

    with serve("mcp_app:app", setup, tmp_path, env={"MCP_JSON": "1"}) as server:
        asyncio.run(talk(server))


def test_what_is_no_mcp_is_refused(client: httpx.Client) -> None:
    accept = {"Accept": "application/json, text/event-stream"}
    assert client.post("/mcp", content=b"{", headers=accept).status_code in (400, 415)
    unknown = {**accept, "Mcp-Session-Id": "unknown"}
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert client.post("/mcp", json=ping, headers=unknown).status_code == 404
    rebound = {**accept, "Host": "evil.example"}
    assert client.post("/mcp", json=ping, headers=rebound).status_code == 421


def test_route_beside_it_answers_and_its_failure_tells_nothing(
    client: httpx.Client, server: Server
) -> None:
    assert client.get("/health").text == "well"
    answer = client.get("/fails")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert eventually(lambda: "asgi_common.Secret: the endpoint fails" in server.log())


def test_stop_ends_the_stream_of_a_session(setup: Setup, tmp_path: Path) -> None:
    async def talk(server: Server) -> None:
        async with mcp(server, "legacy") as client:
            await client.call_tool("price", {"item": "tea"})
            server.terminate()
            assert await asyncio.to_thread(server.wait) == 0

    env = {"GOHTTP_GRACEFUL_TIMEOUT": "0.5"}
    with serve("mcp_app:app", setup, tmp_path, env=env) as server:
        asyncio.run(talk(server))
