"""One GET over HTTP/2, with the fields behind the body."""

import socket

import h2.config
import h2.connection
import h2.events
from support import TIMEOUT, Server


def get_over_http2(
    server: Server, path: str
) -> tuple[dict[str, str], bytes, list[tuple[str, str]]]:
    """Headers, body and trailers."""
    config = h2.config.H2Configuration(client_side=True, header_encoding="latin-1")
    client = h2.connection.H2Connection(config)
    headers: dict[str, str] = {}
    body, trailers = b"", []
    with socket.create_connection((server.host, server.port), TIMEOUT) as connection:
        client.initiate_connection()
        pseudo = [(":method", "GET"), (":path", path), (":scheme", "http"), (":authority", "test")]
        client.send_headers(1, pseudo, end_stream=True)
        connection.sendall(client.data_to_send())
        while True:
            data = connection.recv(65536)
            assert data, "the connection ended"
            for event in client.receive_data(data):
                match event:
                    case h2.events.ResponseReceived():
                        headers = {str(name): str(value) for name, value in event.headers}
                    case h2.events.DataReceived():
                        body += event.data
                    case h2.events.TrailersReceived():
                        trailers = [(str(name), str(value)) for name, value in event.headers]
                    case h2.events.StreamEnded():
                        return headers, body, trailers
                    case h2.events.StreamReset():
                        raise AssertionError(f"the stream was reset with {event.error_code}")
            connection.sendall(client.data_to_send())
