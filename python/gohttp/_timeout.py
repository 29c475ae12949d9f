"""The exception that a handler gets when its time is up."""

import threading

_raised_in: set[int] = set()


class RequestTimeout(BaseException):
    """Raised inside a handler that has run longer than `request_timeout`.

    Its client has been answered with 504 already.  It is no `Exception`, so that
    `except Exception` does not keep a handler from ending; `finally` and `with` clean up as ever.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(args or ("the handler has run longer than request_timeout",)))
        _raised_in.add(threading.get_ident())


def was_raised_in(thread: int) -> bool:
    """Whether the exception has reached a thread since the last call for it."""
    try:
        _raised_in.remove(thread)
    except KeyError:
        return False
    return True
