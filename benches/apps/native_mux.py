"""One route or many, and one of them asked for: ``native_mux.py PORT ROUTES``."""

import sys

from gohttp import Mux, Request, ResponseWriter, run

FORMS = (
    "GET /api/v1/resource{number}/{{id}}",
    "GET /api/v1/resource{number}",
    "POST /api/v1/resource{number}",
    "/api/v1/resource{number}/{{id}}/parts/",
)


def hello(w: ResponseWriter, req: Request) -> None:
    w.write(b"Hello, world.\n")


def routes(count: int) -> Mux:
    """`count` routes as an API has them, four to a resource; the first is `resource0/{id}`."""
    mux = Mux()
    for at in range(count):
        number, form = divmod(at, len(FORMS))
        mux.route(FORMS[form].format(number=number), hello)
    return mux


if __name__ == "__main__":
    run(routes(int(sys.argv[2])), host="127.0.0.1", port=int(sys.argv[1]))
