"""The request corpora of gunicorn and llhttp (tests/data/conformance), each case as raw bytes.

Most of their HTTP/1.1 requests carry no Host, which alone makes them invalid here (RFC 9112
section 3.2).  So that a case tests what it is about, Host is added to such heads.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from conversation import converse, each_face, refused, seen, trouble
from support import Response, Server

DATA = Path(__file__).parent.parent / "data" / "conformance"

Case = dict[str, Any]

# --- where we answer otherwise than a corpus expects, and why -----------------------------------

ANY_METHOD = "any token is a method, the app decides (RFC 9110 section 9.1)"
OTHER_LIMITS = "about gunicorn's own limits; ours are tested in test_protocol_limits.py"
UNDERSCORE = "'_' is dropped where it could pass for '-', in WSGI's environ, and is no error"
TRAILERS = "trailers are dropped unread, so none can pass for a header (RFC 9110 section 6.5.1)"
APPS_AFFAIR = "the engine gives no meaning to these fields (RFC 9110 section 5.3)"

ACCEPTED = {
    "gunicorn:invalid/003c": ANY_METHOD,
    "gunicorn:invalid/006": OTHER_LIMITS,
    "gunicorn:invalid/007": OTHER_LIMITS,
    "gunicorn:invalid/008": OTHER_LIMITS,
    "gunicorn:invalid/010": OTHER_LIMITS,
    "gunicorn:invalid/011": OTHER_LIMITS,
    "gunicorn:invalid/012": OTHER_LIMITS,
    "gunicorn:invalid/017": OTHER_LIMITS,
    "gunicorn:invalid/limit_header_default_01": OTHER_LIMITS,
    "gunicorn:invalid/019": APPS_AFFAIR,  # X-Forwarded-Proto beside X-Forwarded-Ssl
    "gunicorn:invalid/041": APPS_AFFAIR,  # two Content-Type
    "gunicorn:invalid/040": UNDERSCORE,
    "gunicorn:invalid/chunked_07": UNDERSCORE,
    "gunicorn:invalid/rfc9110_trailer_forbidden_cl_01": TRAILERS,
    "gunicorn:invalid/rfc9110_trailer_forbidden_host_01": TRAILERS,
    "gunicorn:invalid/rfc9110_trailer_forbidden_te_01": TRAILERS,
    "llhttp:invalid/HTTP protocol and ANNOUNCE method": ANY_METHOD,
    "llhttp:invalid/Invalid method": ANY_METHOD,
}

CHUNKED_ONLY = (400, "only chunked is understood, and no client gets a 501 (RFC 9112 section 6.1)")
CL_AND_TE = (400, "Content-Length beside Transfer-Encoding (RFC 9112 section 6.3)")
NO_PROXY = (400, "the PROXY protocol is not spoken; its line is no request line")
NO_OBS_FOLD = (400, "no setting permits obs-fold (RFC 9112 section 5.2)")
NO_SPACE = (400, "no setting permits space before the colon (RFC 9112 section 5.1)")
NO_USER = (400, "user information in a target (RFC 9110 section 4.2.4)")
NO_CONNECT = (405, "CONNECT is for proxies (RFC 9110 section 9.3.6)")
NO_ASTERISK = (400, "asterisk-form is for OPTIONS only (RFC 9112 section 3.2.4)")
NOT_HTTP = (400, "another protocol, or HTTP/0.9 (RFC 9112 section 2.3)")

REFUSED = {
    "gunicorn:valid/009": CL_AND_TE,
    "gunicorn:valid/025": CHUNKED_ONLY,
    "gunicorn:valid/025_line": CHUNKED_ONLY,
    "gunicorn:valid/028": NO_SPACE,
    "gunicorn:valid/029": CHUNKED_ONLY,
    "gunicorn:valid/030": CHUNKED_ONLY,
    "gunicorn:valid/compat_obs_fold": NO_OBS_FOLD,
    "gunicorn:valid/compat_obs_fold_huge": NO_OBS_FOLD,
    "gunicorn:valid/pp_01": NO_PROXY,
    "gunicorn:valid/pp_02": NO_PROXY,
    "gunicorn:valid/pp_04": NO_PROXY,
    "gunicorn:valid/pp_05": NO_PROXY,
    "gunicorn:valid/rfc9112_smuggle_gzip_chunked_01": CHUNKED_ONLY,
    "gunicorn:valid/rfc9112_smuggle_te_identity_chunked_01": CHUNKED_ONLY,
    "gunicorn:valid/rfc9112_target_absolute_userinfo_01": NO_USER,
    "gunicorn:valid/rfc9112_target_authority_connect_01": NO_CONNECT,
    "gunicorn:valid/rfc9112_target_authority_ipv6_01": NO_CONNECT,
    "llhttp:transfer-encoding/POST with `chunked` as last transfer-encoding": CHUNKED_ONLY,
    "llhttp:transfer-encoding/POST with `chunked` as last transfer-encoding (multiple headers)": (
        CHUNKED_ONLY
    ),
    "llhttp:method/CONNECT request": NO_CONNECT,
    "llhttp:method/CONNECT request with CAPS": NO_CONNECT,
    "llhttp:method/CONNECT with body": NO_CONNECT,
    "llhttp:uri/Underscore in hostname": NO_CONNECT,
    "llhttp:method/M-SEARCH request": NO_ASTERISK,
    "llhttp:method/PRI request HTTP2": NO_ASTERISK,
    "llhttp:method/SOURCE request with ICE": NOT_HTTP,
    "llhttp:method/OPTIONS request with RTSP": NOT_HTTP,
    "llhttp:method/ANNOUNCE request with RTSP": NOT_HTTP,
    "llhttp:sample/No HTTP version": NOT_HTTP,
    "llhttp:uri/`host:port` and basic auth": NO_USER,
}

SKIPPED = {
    "gunicorn:valid/099": "its body is shorter than its Content-Length",
    "gunicorn:valid/040_compat": "gunicorn's setting that lets '_' through",
    "gunicorn:valid/031compat": "gunicorn's setting that changes the method to upper case",
    "llhttp:content-length/Content-Length reset when no body is received": (
        "its parser was told that there is no body"
    ),
}

# What the routes of native handlers make of a target, as Go's ServeMux would.
ROUTED = {
    "gunicorn:valid/100": 301,  # empty path segments are cleaned away
    "gunicorn:valid/rfc9112_target_asterisk_options_01": 200,  # the server itself answers, as Go
}

STATUS = {"gunicorn:invalid/009": 431}  # 101 fields

# Requests that a client cuts off: it is no error yet when nothing follows, so it has to end.
CUT_OFF = {
    "gunicorn:invalid/001",
    "gunicorn:invalid/rfc9112_chunked_missing_final_crlf_01",
    "llhttp:content-length/Error on `Content-Length` overflow",
    "llhttp:content-length/Error on duplicate `Content-Length`",
}

# What llhttp reports after a request that was understood: it hands over to its user.
AFTER_A_REQUEST = {"Pause on CONNECT/Upgrade", "Data after `Connection: close`"}


# --- the corpora --------------------------------------------------------------------------------


def cases(corpus: str) -> Iterator[Case]:
    for case in json.loads((DATA / f"{corpus}-requests.json").read_text()):
        yield case | {"name": f"{corpus}:{case['name']}", "raw": case["raw"].encode("latin-1")}


def is_valid(case: Case) -> bool:
    if "requests" in case:
        return True
    return case["error"] is None or case["error"] in AFTER_A_REQUEST


def parameters(corpus: str, *, valid: bool) -> list[object]:
    return [
        pytest.param(case, id=case["name"])
        for case in cases(corpus)
        if case["name"] not in SKIPPED
        and (case["name"] not in REFUSED and is_valid(case)) is valid
        and case["name"] not in ACCEPTED
    ]


def with_host(case: Case) -> bytes:
    """The case's bytes with Host in every HTTP/1.1 head that has none."""
    raw: bytes = case["raw"]
    if case["name"] == "gunicorn:valid/020":  # what looks like a second head is a body
        return raw
    end, out = 0, b""
    for match in re.finditer(rb"[!-~\x80-\xff]+ [^\r\n]*HTTP/1\.1\r\n", raw):
        head, _, _ = raw[match.end() :].partition(b"\r\n\r\n")
        out += raw[end : match.end()]
        end = match.end()
        if not re.search(rb"(?im)^host[ \t]*:", head):
            out += b"Host: test\r\n"
    return out + raw[end:]


def origin_form(target: str) -> tuple[str, str]:
    """Path and query of any target, without a fragment."""
    target = target.partition("#")[0]
    absolute = re.fullmatch(r"https?://[^/?]*(.*)", target)
    path, _, query = (absolute[1] if absolute else target).partition("?")
    return path or "/", query


def assert_saw(
    response: Response,
    method: str | None,
    target: str,
    body: str | None,
    headers: list[list[str]] | None = None,
) -> None:
    """Asserts that the app has seen this; None is not looked at."""
    assert response.status == 200
    saw = json.loads(response.body)
    path, query = origin_form(target)
    if saw["face"] == "wsgi":
        path = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
    assert (saw["path"], saw["query"]) == (path, query)
    if method is not None:
        # ASGI: "the HTTP method name, uppercased"
        assert saw["method"] == (method.upper() if saw["face"] == "asgi" else method)
    if body is not None:
        assert saw["body"] == body
    if headers is not None:
        expected = [(name.lower(), value) for name, value in headers]
        if saw["face"] == "wsgi":
            joined: dict[str, str] = {}
            for name, value in expected:
                joined[name] = f"{joined[name]},{value}" if name in joined else value
            expected = sorted((n, v) for n, v in joined.items() if "_" not in n)
        got = [(name, value) for name, value in saw["headers"] if value != "test"]
        if saw["face"] == "wsgi":
            got.sort()
        # gunicorn reports neither fields with '_' nor, in an absolute target, another host.
        assert [field for field in got if "_" not in field[0]] == expected


# --- the tests ----------------------------------------------------------------------------------


@each_face
@pytest.mark.parametrize(
    "case", parameters("gunicorn", valid=False) + parameters("llhttp", valid=False)
)
def test_an_invalid_request_is_refused_and_not_seen(server: Server, case: Case) -> None:
    name = case["name"]
    seen(server)
    responses = converse(server, with_host(case), half_close=name in CUT_OFF, timeout=3)
    if name in CUT_OFF and not responses:
        pass  # closed without a word: nobody waits for one
    else:
        refused(responses, STATUS.get(name) or REFUSED.get(name, (400,))[0])
    assert seen(server) == []


@each_face
@pytest.mark.parametrize("case", parameters("gunicorn", valid=True))
def test_a_valid_request_of_gunicorn_is_seen_as_expected(
    server: Server, face: str, case: Case
) -> None:
    responses = converse(server, with_host(case), half_close=True)
    if face == "native" and case["name"] in ROUTED:
        assert [response.status for response in responses] == [ROUTED[case["name"]]]
        return
    assert [response.status for response in responses] == [200] * len(case["requests"])
    for response, expected in zip(responses, case["requests"], strict=True):
        assert_saw(
            response,
            expected["method"],
            expected["target"],
            expected["body"],
            expected["headers"],
        )


@each_face
@pytest.mark.parametrize("case", parameters("llhttp", valid=True))
def test_a_valid_request_of_llhttp_is_seen_as_expected(server: Server, case: Case) -> None:
    responses = converse(server, with_host(case), half_close=True)
    count = case["messages"]
    if case["error"] == "Pause on CONNECT/Upgrade":
        # The upgrade is declined, so what follows in another protocol is a malformed request.
        assert all(response.status == 400 for response in responses[count:])
        del responses[count:]
    assert [response.status for response in responses] == [200] * count
    bodies = ""
    for response, url in zip(responses, case["urls"], strict=False):
        # The corpus itself is cut at the quote.
        target = '/with_"lovely"_quotes?foo=\\"bar\\"' if url == "/with_" else url
        assert_saw(response, None, target, None)
        bodies += json.loads(response.body)["body"]
    assert case["body"].startswith(bodies)
    if count == len(case["urls"]) or count == 1:
        assert bodies == case["body"]


@each_face
@pytest.mark.parametrize("name", ACCEPTED)
def test_what_we_accept_although_the_corpus_does_not(server: Server, name: str) -> None:
    (case,) = [
        case for corpus in ("gunicorn", "llhttp") for case in cases(corpus) if case["name"] == name
    ]
    responses = converse(server, with_host(case), half_close=True)
    assert [response.status for response in responses[:1]] == [200]
    assert all(response.status == 400 for response in responses[1:])


@each_face
def test_the_corpora_leave_no_trouble_in_the_log(server: Server) -> None:
    for corpus in ("gunicorn", "llhttp"):
        for case in cases(corpus):
            converse(server, case["raw"], half_close=True)
    assert server.get("/").status == 200
    assert trouble(server) == []
