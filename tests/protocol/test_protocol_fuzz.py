"""Requests mutated at random, with a fixed seed: no client causes a 5xx, a panic or a traceback."""

import random

import pytest
from conftest import Servers
from conversation import FACES, connect, trouble
from support import Server

SEEDS = [
    b"GET /path?x=1 HTTP/1.1\r\nHost: test\r\nAccept: */*\r\nCookie: a=b\r\n\r\n",
    b"POST /form HTTP/1.1\r\nHost: test\r\nContent-Length: 11\r\n\r\nhello=world",
    b"POST /chunks HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n",
    b"GET http://other:80/%41%zz HTTP/1.1\r\nHost: [::1]:8000\r\nConnection: close\r\n\r\n",
    b"PUT /e HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    b"\x00\x00\x03\x01\x05\x00\x00\x00\x01\x82\x84\x86",
]
TOKENS = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"%", b"%00", b"\xff", b"\xc3\xa4", b"..",
    b"//", b"?", b"#", b"*", b"0", b"-1", b"ffffffffffffffff", b"99999999999999999999", b"chunked",
    b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: x\r\n", b"HTTP/1.0",
    b"Connection: close\r\n", b"Upgrade: websocket\r\n", b"\r\n\r\n", b"A" * 300, b";", b",", b'"',
]  # fmt: skip


def mutate(chance: random.Random) -> bytes:
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0:
                data[at:at] = chance.choice(TOKENS)
            case 1:
                del data[at : at + chance.randint(1, 8)]
            case 2:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 3:
                data[at : at + 4] = chance.choice(TOKENS)
            case _:
                data[at:at] = data[at : at + chance.randint(1, 40)]
    return bytes(data)


def answer(server: Server, data: bytes) -> bytes:
    """All that the server says before it closes, which it must; how it closes is not looked at."""
    with connect(server) as connection:
        received = b""
        try:
            connection.send(data)
            connection.finish_sending()
            while piece := connection.socket.recv(65536):
                received += piece
        except TimeoutError:
            pytest.fail(f"no end after {data!r}")
        except ConnectionError:
            pass
        return received


@pytest.mark.parametrize("face", FACES)
def test_mutated_requests_get_no_5xx_and_leave_the_server_well(servers: Servers, face: str) -> None:
    server = servers(face, "--max-connections", "64")
    chance = random.Random(20160510)
    for _ in range(500):
        data = mutate(chance)
        received = answer(server, data)
        if received[:5] == b"HTTP/":
            assert received[9:10] in (b"1", b"2", b"3", b"4"), (data, received)
        elif received:
            assert received[3:4] in (b"\x04", b"\x07"), f"neither HTTP/1 nor HTTP/2: {data!r}"
        assert b"\r\nHTTP/1.1 5" not in received, (data, received)
    assert server.get("/").status == 200
    assert trouble(server) == []
