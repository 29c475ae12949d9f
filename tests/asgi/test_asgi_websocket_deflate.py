"""permessage-deflate (RFC 7692): what is agreed on, and messages with it."""

import random
import zlib
from collections.abc import Iterator

import pytest
from asgi_helpers import LOOPS, get_json, new_key
from support import Server, rss, wait_until
from websocket_client import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    H2Connection,
    WebSocket,
    frame,
    handshake,
    read_switch,
    serve_websockets,
    websocket,
)
from websockets.sync.client import connect

MIB = 1024 * 1024
TAIL = b"\0\0\xff\xff"
OFFER = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    options = ("--loop", request.param, "--ws-max-size", str(MIB))
    with serve_websockets(*options) as server:
        yield server


@pytest.fixture
def chat(server: Server) -> Iterator[WebSocket]:
    with websocket(server, "/echo", OFFER) as chat:
        yield chat


def deflate(data: bytes, bits: int = 15, level: int = 6) -> bytes:
    packer = zlib.compressobj(level, wbits=-bits)
    packed = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert packed.endswith(TAIL)
    return packed[:-4]


def inflate(data: bytes, bits: int = 15) -> bytes:
    return zlib.decompressobj(-bits).decompress(data + TAIL)


def read(chat: WebSocket, bits: int = 15) -> tuple[int, bytes]:
    """Opcode and content of the next message; each is packed by itself."""
    got = chat.read_frame()
    assert got.fin
    return got.opcode, inflate(got.payload, bits) if got.rsv1 else got.payload


def parameters(answer: str | None) -> set[str]:
    assert answer is not None
    name, *rest = [part.strip() for part in answer.split(";")]
    assert name == "permessage-deflate"
    assert len(set(rest)) == len(rest)
    return set(rest)


def answer_to(server: Server, *offers: str) -> str | None:
    with server.connect() as connection:
        handshake(connection, "/echo", [("Sec-WebSocket-Extensions", offer) for offer in offers])
        return read_switch(connection).header("sec-websocket-extensions")


# --- the agreement -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=10",
        "permessage-deflate;server_no_context_takeover ; client_no_context_takeover",
        'permessage-deflate; server_max_window_bits="15"',
        "x-unknown; a=1, permessage-deflate",
    ],
)
def test_offer_is_accepted_with_parameters_that_answer_it(server: Server, offer: str) -> None:
    agreed = parameters(answer_to(server, offer))
    assert agreed <= {
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits=15",
    }
    assert "server_no_context_takeover" in agreed or "server_no" not in offer
    assert "server_max_window_bits=15" in agreed or "server_max" not in offer


@pytest.mark.parametrize(
    "offer",
    [
        "x-webkit-deflate-frame",
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; client_max_window_bits=0",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    ],
)
def test_offer_that_makes_no_sense_is_declined_and_the_websocket_opens(
    server: Server, offer: str
) -> None:
    assert answer_to(server, offer) is None


@pytest.mark.parametrize("lines", [1, 2])
def test_first_offer_that_is_possible_is_taken(server: Server, lines: int) -> None:
    offers = ["permessage-deflate; unknown", "permessage-deflate; server_max_window_bits=11"]
    answer = answer_to(server, *([", ".join(offers)] if lines == 1 else offers))
    assert "server_max_window_bits=11" in parameters(answer)


def test_nothing_is_agreed_on_when_nothing_is_offered(server: Server) -> None:
    with websocket(server, "/echo") as chat:
        chat.text("x" * 1000)
        assert chat.read() == "x" * 1000  # and not compressed


def test_compression_can_be_switched_off() -> None:
    with serve_websockets("--ws-compression", "off") as server:
        assert answer_to(server, OFFER[0][1]) is None
        with websocket(server, "/echo", OFFER) as chat:
            chat.send(frame(TEXT, deflate(b"x"), rsv=4))
            assert chat.read_end()[0] == 1002


# --- messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"hello", b"ab" * 50_000, random.Random(1).randbytes(100_000), b"x" * MIB],
    ids=["empty", "one byte", "short", "patterns", "noise", "largest"],
)
def test_compressed_messages_come_back(chat: WebSocket, data: bytes) -> None:
    for _ in range(2):
        chat.send(frame(BINARY, deflate(data), rsv=4))
        assert read(chat) == (BINARY, data)


def test_compressible_messages_are_sent_compressed(chat: WebSocket) -> None:
    text = "one and the same thing " * 1000
    chat.text(text)
    got = chat.read_frame()
    assert got.rsv1
    assert len(got.payload) < len(text) // 10
    assert inflate(got.payload).decode() == text


def test_messages_may_come_uncompressed(chat: WebSocket) -> None:
    for text in ("plain", "", "plain" * 1000):
        chat.text(text)
        assert read(chat) == (TEXT, text.encode())


def test_compressed_message_in_fragments(chat: WebSocket) -> None:
    packed = deflate("tëxt, ".encode() * 100)
    chat.send(
        frame(TEXT, packed[:5], fin=False, rsv=4), frame(CONTINUATION, packed[5:9], fin=False)
    )
    chat.send(frame(PING, b"between"), frame(CONTINUATION, packed[9:]))
    assert chat.read_frame() == Frame(PONG, b"between")
    assert read(chat) == (TEXT, "tëxt, ".encode() * 100)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_stored_and_final_blocks_are_understood(chat: WebSocket, level: int) -> None:
    data = b"of any level " * 100
    chat.send(frame(BINARY, deflate(data, level=level), rsv=4))
    assert read(chat) == (BINARY, data)
    packer = zlib.compressobj(level, wbits=-15)
    final = packer.compress(data) + packer.flush() + b"\0"  # RFC 7692 section 7.2.3.4
    chat.send(frame(BINARY, final, rsv=4))
    assert read(chat) == (BINARY, data)


@pytest.mark.parametrize("bits", [9, 10, 15])
def test_server_keeps_within_the_clients_window(server: Server, bits: int) -> None:
    offer = [("Sec-WebSocket-Extensions", f"permessage-deflate; server_max_window_bits={bits}")]
    noise = random.Random(2).randbytes(3000)
    with websocket(server, "/echo", offer) as chat:
        chat.binary(noise * 10)
        assert read(chat, bits) == (BINARY, noise * 10)
        chat.binary(bytes(10_000))
        got = chat.read_frame()
        assert got.rsv1
        assert inflate(got.payload, bits) == bytes(10_000)


def test_client_with_a_small_window_is_understood(chat: WebSocket) -> None:
    data = random.Random(3).randbytes(400) * 20
    chat.send(frame(BINARY, deflate(data, bits=9), rsv=4))
    assert read(chat) == (BINARY, data)


@pytest.mark.parametrize(
    "packed", [b"\xff\xff\xff", b"\x07", deflate(b"hello" * 100)[:-3] + b"~~~"]
)
def test_broken_compression_closes(chat: WebSocket, packed: bytes) -> None:
    chat.send(frame(BINARY, packed, rsv=4))
    assert chat.read_end()[0] in (1002, 1007)


def test_compressed_text_that_is_not_utf_8_closes_with_1007(chat: WebSocket) -> None:
    chat.send(frame(TEXT, deflate(b"text\xff"), rsv=4))
    assert chat.read_end()[0] == 1007


def test_reserved_bits_stay_reserved(chat: WebSocket) -> None:
    chat.send(frame(TEXT, deflate(b"x"), fin=False, rsv=4))
    chat.send(frame(CONTINUATION, b"", rsv=4))
    assert chat.read_end()[0] == 1002


def test_decompression_bomb_closes_with_1009_and_takes_no_memory(server: Server) -> None:
    packer = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(packer.compress(bytes(MIB)) for _ in range(200))
    bomb += packer.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < MIB
    before = rss(server.pid)
    for _ in range(5):
        with websocket(server, "/echo", OFFER) as chat:
            chat.send(frame(BINARY, bomb[:-4], rsv=4))
            assert chat.read_end()[0] == 1009
    assert rss(server.pid) - before < 32 * MIB


def test_one_byte_over_the_limit_after_decompression_is_1009(chat: WebSocket) -> None:
    chat.send(frame(BINARY, deflate(bytes(MIB)), rsv=4))
    assert read(chat) == (BINARY, bytes(MIB))
    chat.send(frame(BINARY, deflate(bytes(MIB + 1)), rsv=4))
    assert chat.read_end()[0] == 1009


def test_compression_over_http_2(server: Server) -> None:
    with H2Connection(server) as connection:
        chat = connection.websocket("/echo", [("sec-websocket-extensions", OFFER[0][1])])
        chat.send(frame(TEXT, deflate(b"packed " * 1000), rsv=4))
        got = chat.read_frame()
        assert got.rsv1
        assert inflate(got.payload) == b"packed " * 1000


def test_connections_with_compression_do_not_disturb_each_other(server: Server) -> None:
    with websocket(server, "/echo", OFFER) as one, websocket(server, "/echo", OFFER) as two:
        for number in range(50):
            first, second = b"one %d " % number * 100, b"two %d " % number * 100
            one.send(frame(BINARY, deflate(first), rsv=4))
            two.send(frame(BINARY, deflate(second), rsv=4))
            assert read(two) == (BINARY, second)
            assert read(one) == (BINARY, first)


def test_the_websockets_package_agrees(server: Server) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/echo?{new_key()}", compression="deflate") as chat:
        assert [str(type(item).__name__) for item in chat.protocol.extensions] == [
            "PerMessageDeflate"
        ]
        for message in ("tëxt" * 1000, b"\0\xff" * 1000, "", "x"):
            chat.send(message)
            assert chat.recv() == message


def test_idle_connections_with_compression_hold_little_memory(server: Server) -> None:
    chats, count = [], 200
    try:
        for number in range(count):
            if number == count // 2:
                before = rss(server.pid)  # what all share is there
            manager = websocket(server, "/echo", OFFER)
            chats.append((manager, manager.__enter__()))
            chats[-1][1].send(frame(BINARY, deflate(b"ab" * 20_000), rsv=4))
            assert read(chats[-1][1]) == (BINARY, b"ab" * 20_000)
        assert (rss(server.pid) - before) / (count // 2) < 64 * 1024
    finally:
        for manager, _ in chats:
            manager.__exit__(None, None, None)
    wait_until(lambda: get_json(server, "/events?none") == [], "the server to answer")
