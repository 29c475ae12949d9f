"""What functions of C in a server need: those of the server that they may call.

    mux.handle_c("/fast", ffi.addressof(lib, "fast"))

Code in C includes `gohttp.h` with `GOHTTP_MODULE` defined and is given `api()` once; code for numba
and ctypes takes `functions`. docs/c-handlers.md tells how, and what such code must not do.
"""

import ctypes
from ctypes import c_char_p, c_int, c_int64, c_size_t, c_ssize_t, c_uint32, c_void_p
from pathlib import Path
from typing import Any

from gohttp import _gohttp
from gohttp._c_functions import capsule_pointer

__all__ = ["address", "api", "functions", "include"]

_C_API = _gohttp.c_api()

_LENGTH = ctypes.POINTER(c_size_t)
_TEXTS = ctypes.POINTER(c_char_p)
_TEXT: tuple[Any, ...] = (c_char_p, c_uint32, _LENGTH)
_NAMED: tuple[Any, ...] = (c_char_p, c_uint32, c_char_p, _LENGTH)
_DO: tuple[Any, ...] = (c_int, c_uint32)

# As struct gohttp_api in gohttp.h, in its order: what is returned, then what is taken.
_PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "gohttp_request_method": _TEXT,
    "gohttp_request_path": _TEXT,
    "gohttp_request_query": _TEXT,
    "gohttp_request_url": _TEXT,
    "gohttp_request_host": _TEXT,
    "gohttp_request_protocol": _TEXT,
    "gohttp_request_remote_address": _TEXT,
    "gohttp_request_pattern": _TEXT,
    "gohttp_request_path_value": _NAMED,
    "gohttp_request_query_value": _NAMED,
    "gohttp_request_header": _NAMED,
    "gohttp_request_header_count": _DO,
    "gohttp_request_header_at": (c_int, c_uint32, c_int, _TEXTS, _TEXTS),
    "gohttp_request_content_length": (c_int64, c_uint32),
    "gohttp_request_read": (c_ssize_t, c_uint32, c_void_p, c_size_t),
    "gohttp_response_set_status": (c_int, c_uint32, c_int),
    "gohttp_response_set_header": (c_int, c_uint32, c_char_p, c_char_p),
    "gohttp_response_add_header": (c_int, c_uint32, c_char_p, c_char_p),
    "gohttp_response_interim": (c_int, c_uint32, c_int),
    "gohttp_response_write": (c_ssize_t, c_uint32, c_void_p, c_size_t),
    "gohttp_response_flush": _DO,
    "gohttp_response_gone": _DO,
    "gohttp_response_detach": _DO,
    "gohttp_response_end": _DO,
    "gohttp_response_abort": _DO,
    "ResponseWriter_Write": (c_int, c_uint32, c_char_p, c_int),
    "ResponseWriter_WriteHeader": (None, c_uint32, c_int),
    "gohttp_last_error": (c_char_p,),
    "gohttp_strerror": (c_char_p, c_int),
}


class _Table(ctypes.Structure):
    _fields_ = [("size", c_size_t), *((name, c_void_p) for name in _PROTOTYPES)]


class Functions:
    """The functions by name, as those of ctypes: each lets go of the GIL while it is called."""

    def __getattr__(self, name: str) -> Any:
        if name not in _PROTOTYPES:
            raise AttributeError(f"gohttp.h has no function {name!r} for handlers")
        function = ctypes.CFUNCTYPE(*_PROTOTYPES[name])(address(name))
        setattr(self, name, function)
        return function

    def __dir__(self) -> list[str]:
        return [*_PROTOTYPES]


functions = Functions()
"""`functions.gohttp_response_write` and the others that handlers may call, for numba and ctypes."""


def api() -> int:
    """The address of `struct gohttp_api`, which `gohttp_use` takes in C."""
    return capsule_pointer(_C_API)


def address(name: str) -> int:
    """The address of a function that handlers may call.

    Raises `ValueError` when there is none of that name.
    """
    if name not in _PROTOTYPES:
        raise ValueError(f"gohttp.h has no function {name!r} for handlers")
    value: int = getattr(_Table.from_address(api()), name)
    return value


def include() -> str:
    """The directory of `gohttp.h`, for a compiler's -I."""
    return str(Path(__file__).parent / "include")
