"""What `Mux.handle_c` is given, as addresses: functions of C, and their data."""

import ctypes
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from gohttp import _gohttp

POINTER = ctypes.sizeof(ctypes.c_void_p)
HANDLE = ctypes.sizeof(ctypes.c_uint32)
SIZES = {
    "gohttp_handler": (HANDLE, HANDLE, POINTER),  # void (gohttp_response, gohttp_request, void *)
    "FuncPtr": (HANDLE, POINTER),  # void (ResponseWriterPtr, Request *)
}
KINDS = (
    "an address, a PyCapsule, a function of ctypes, a pointer of cffi to a function, or what"
    " numba's cfunc makes"
)

_Capsule = type(_gohttp.c_api())
_Function: Any = ctypes.CFUNCTYPE(None).__base__  # what all functions of ctypes are
_capsule_name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(
    ("PyCapsule_GetName", ctypes.pythonapi)
)
_capsule_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def capsule_pointer(capsule: object) -> int:
    """The address in a capsule, whatever its name."""
    pointer: int = _capsule_pointer(capsule, _capsule_name(capsule))
    return pointer


class Resolved(NamedTuple):
    """A function and what it is given."""

    address: int
    data: int | None
    """None for a FuncPtr, which has none."""
    owners: tuple[object, ...]
    """What has to be kept as long as the function may be called."""


def resolve(function: object, user: object, signature: str) -> Resolved:
    """Find the addresses of a function and its data.

    Raises `TypeError` for what is none, or is known to be of another type than `signature`,
    `ValueError` for an unknown signature or NULL.
    """
    if signature not in SIZES:
        raise ValueError(f"signature is 'gohttp_handler' or 'FuncPtr', not {signature!r}")
    if signature == "FuncPtr" and user is not None:
        raise TypeError("a FuncPtr is given no data: user= is for signature='gohttp_handler'")
    address, sizes = _function(function)
    if sizes is not None and sizes != SIZES[signature]:
        raise TypeError(_mismatch(function, sizes, signature))
    if not 0 < address < 1 << (8 * POINTER):
        raise ValueError(f"a function cannot be at address {address:#x}")
    if signature == "FuncPtr":
        return Resolved(address, None, (function,))
    data, owner = _data(user)
    return Resolved(address, data, (function, owner))


def _mismatch(function: object, sizes: Sequence[int], signature: str) -> str:
    has = ", ".join(f"{size} bytes" for size in sizes) or "none"
    wanted = ", ".join(f"{size} bytes" for size in SIZES[signature])
    return (
        f"{function!r} is no {signature}: its arguments are {has}, those of a {signature} are"
        f" {wanted}; see gohttp.h"
    )


def _function(function: Any) -> tuple[int, tuple[int, ...] | None]:
    """The address of a function, and the sizes of its arguments if they are known."""
    if isinstance(function, int) and not isinstance(function, bool):
        return function, None
    if isinstance(function, _Capsule):
        return capsule_pointer(function), _named_sizes(_capsule_name(function))
    if isinstance(function, _Function):
        arguments = function.argtypes
        known = None if arguments is None else tuple(ctypes.sizeof(a) for a in arguments)
        return ctypes.cast(function, ctypes.c_void_p).value or 0, known
    cffi = sys.modules.get("_cffi_backend")
    if cffi is not None and isinstance(function, cffi._CDataBase):
        ffi = cffi.FFI()
        kind = ffi.typeof(function)
        if kind.kind != "function":
            raise TypeError(f"{function!r} is no function; handle_c() takes {KINDS}")
        sizes = tuple(ffi.sizeof(argument) for argument in kind.args)
        return int(ffi.cast("uintptr_t", function)), sizes
    if isinstance(getattr(function, "ctypes", None), _Function):
        return _function(function.ctypes)  # numba's CFunc
    advice = "for one of Python there is route()"
    if type(getattr(function, "__self__", None)).__name__ == "Lib":
        advice = "of cffi's lib, ffi.addressof(lib, 'name') is the pointer"
    raise TypeError(f"handle_c() takes a function of C: {KINDS}; not {function!r} ({advice})")


def _named_sizes(name: bytes | None) -> tuple[int, ...] | None:
    """The sizes that a capsule's name tells, if it is a signature, as Cython's are."""
    text = (name or b"").decode(errors="replace")
    if "(" not in text or not text.endswith(")"):
        return None
    arguments = text[text.index("(") + 1 : -1].split(",")
    if arguments in ([""], ["void"]):
        return ()
    return tuple(POINTER if "*" in argument else HANDLE for argument in arguments)


def _data(user: Any) -> tuple[int, object]:
    """The address of data, and what keeps it there."""
    if user is None:
        return 0, None
    if isinstance(user, int) and not isinstance(user, bool):
        if not 0 <= user < 1 << (8 * POINTER):
            raise ValueError(f"{user:#x} is no address")
        return user, None
    address = _pointer(user)
    if address is not None:
        return address, user
    try:
        # For as long as this lives, the memory stays where it is.
        view = (ctypes.c_char * memoryview(user).nbytes).from_buffer(user)
    except (TypeError, ValueError, BufferError):
        raise TypeError(
            "user= is an address, a PyCapsule, a pointer of ctypes or cffi, bytes, or something"
            f" with a writable buffer, not {type(user).__name__}"
        ) from None
    return ctypes.addressof(view), view


def _pointer(user: Any) -> int | None:
    """The address in an object that is made of one."""
    if isinstance(user, _Capsule):
        return capsule_pointer(user)
    if isinstance(user, bytes):
        user = ctypes.c_char_p(user)
    if isinstance(user, ctypes._Pointer | ctypes.c_void_p | ctypes.c_char_p):
        return ctypes.cast(user, ctypes.c_void_p).value or 0
    cffi = sys.modules.get("_cffi_backend")
    if cffi is not None and isinstance(user, cffi._CDataBase):
        ffi = cffi.FFI()
        if ffi.typeof(user).kind in ("pointer", "array"):
            return int(ffi.cast("uintptr_t", user))
    return None
