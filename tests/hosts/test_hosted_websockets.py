"""WebSockets of apps in programs of Rust."""

import pytest
from hosts import HOSTS, hosting, seen
from support import wait_until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect


@pytest.mark.parametrize("host", HOSTS)
def test_an_asgi_app_has_websockets(host: str):
    with hosting(host, "/py=asgi_cases:app") as server:
        url = f"ws://127.0.0.1:{server.port}/py/chat"
        with connect(url, subprotocols=["one", "two"], proxy=None) as client:  # type: ignore[list-item]
            assert client.subprotocol == "one"
            assert client.recv() == "/py /py/chat"
            for n in range(20):
                client.send(f"message {n}" * 50)
                assert client.recv() == f"MESSAGE {n}" * 50
        wait_until(lambda: seen(server, "closed") == 1, "the app to hear of the end")


@pytest.mark.parametrize("host", HOSTS)
def test_an_app_may_refuse_a_websocket(host: str):
    with hosting(host, "/py=asgi_cases:app") as server:
        url = f"ws://127.0.0.1:{server.port}/py/refuse"
        with pytest.raises(InvalidStatus) as refused, connect(url, proxy=None):
            pass
        assert refused.value.response.status_code == 403


def test_a_wsgi_app_has_websockets_where_the_server_is_ours():
    with (
        hosting("beside_python", "/py=sock_cases:app") as server,
        connect(f"ws://127.0.0.1:{server.port}/py/echo", proxy=None) as client,
    ):
        client.send("shout")
        assert client.recv() == "SHOUT"


def test_a_wsgi_app_has_none_below_another_host():
    with hosting("axum_host", "/py=sock_cases:app") as server:
        url = f"ws://127.0.0.1:{server.port}/py/echo"
        with pytest.raises(InvalidStatus) as refused, connect(url, proxy=None):
            pass
        assert refused.value.response.status_code == 501
