"""A handler that numba compiles: gohttp serve numba_app:mux."""

import gohttp.c
import numpy as np
from gohttp import Mux
from numba import carray, cfunc, njit, types

write = gohttp.c.functions.gohttp_response_write  # a compiled function may call those of ctypes

limits = np.array([100, 100_000], dtype=np.int64)  # Python may change them while it serves


@njit
def primes_below(limit):
    """Count them by the sieve of Eratosthenes."""
    composite = np.zeros(max(limit, 2), dtype=np.bool_)
    count = 0
    for n in range(2, limit):
        if not composite[n]:
            count += 1
            composite[n * n :: n] = True
    return count


@cfunc(types.void(types.uint32, types.uint32, types.voidptr))
def count_primes(w, r, data):
    """Write how many primes there are below each of the two limits."""
    below = carray(data, 2, np.int64)
    text = np.empty(48, dtype=np.uint8)
    end = text.size
    for i in range(1, -1, -1):  # from the last digit to the first
        end -= 1
        text[end] = ord("\n")
        number = primes_below(below[i])
        while True:
            end -= 1
            text[end] = ord("0") + number % 10
            number //= 10
            if number == 0:
                break
    write(w, text[end:].ctypes, text.size - end)


mux = Mux()
mux.handle_c("GET /primes", count_primes, user=limits)
