"""ASGI lifespan: the app is told of start-up and shutdown (ASGI lifespan specification 2.0)."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal

from gohttp import GohttpError, early_stop

logger = logging.getLogger("gohttp.lifespan")

Message = MutableMapping[str, Any]
AsgiApp = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


_PATIENCE = 5  # seconds


def _remind(name: str) -> None:
    logger.warning(
        "%s: its lifespan start-up has taken %d s; no request is answered before it ends.",
        name,
        _PATIENCE,
    )


class Lifespan:
    """One app's lifespan: `startup()` before the first request, `shutdown()` after the last."""

    def __init__(
        self, app: AsgiApp, mode: Literal["auto", "on", "off"], name: str = "The app"
    ) -> None:
        self._app = app
        self._name = name  # for people, at the beginning of a sentence
        self._mode = mode
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._state: dict[str, Any] = {}
        self._error: BaseException | None = None

    async def startup(self) -> dict[str, Any] | None:
        """Tell the app to start; returns the state it made for requests.

        None when the app takes no part in lifespan. Raises `GohttpError` when it refuses to
        start, or takes no part although the mode is `on`.
        """
        if self._mode == "off":
            return None
        self._task = asyncio.get_running_loop().create_task(self._run(), name="gohttp-lifespan")
        self._to_app.put_nowait({"type": "lifespan.startup"})
        reminder = asyncio.get_running_loop().call_later(_PATIENCE, _remind, self._name)
        try:
            answer = await self._answer()
        finally:
            reminder.cancel()
        if answer is None:
            self._task = None
            self._without_lifespan()
            return None
        if answer["type"] == "lifespan.startup.failed":
            message = answer.get("message") or "it gave no message"
            raise GohttpError(
                f"{self._name} refused to start (lifespan.startup.failed); its message is above.",
                details=str(message),
                exit_code=3,
            )
        return self._state

    async def shutdown(self, timeout: float) -> None:
        """Tell the app that the last request has ended, and wait for it, at most `timeout` s."""
        if self._task is None or self._task.done():
            return
        self._to_app.put_nowait({"type": "lifespan.shutdown"})
        try:
            answer = await asyncio.wait_for(self._answer(), timeout)
        except TimeoutError:
            logger.error(
                "%s: its shutdown took longer than %g s and was cut off.", self._name, timeout
            )
            self._task.cancel()
            return
        if answer is None and self._error is not None:
            logger.error("%s: exception in its shutdown", self._name, exc_info=self._error)
        elif answer is not None and answer["type"] == "lifespan.shutdown.failed":
            logger.error("%s: its shutdown failed: %s", self._name, answer.get("message", ""))

    async def _run(self) -> None:
        scope: Message = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._app(scope, self._to_app.get, self._send)
        except Exception as error:
            self._error = error
        except early_stop.EarlyStop as error:
            self._error = error  # and remembered there: who waits for the app asks

    async def _send(self, message: Message) -> None:
        expected = ("startup", "shutdown")
        if message["type"] not in {
            f"lifespan.{event}.{end}" for event in expected for end in ("complete", "failed")
        }:
            raise RuntimeError(f"lifespan knows no message {message['type']!r}")
        self._answers.put_nowait(message)

    async def _answer(self) -> Message | None:
        """The app's next message, or None when it has returned or raised without one."""
        assert self._task is not None
        getter = asyncio.ensure_future(self._answers.get())
        await asyncio.wait({getter, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if getter.done():
            return getter.result()
        getter.cancel()
        return self._answers.get_nowait() if not self._answers.empty() else None

    def _without_lifespan(self) -> None:
        """The app raised or returned at start-up: by the specification, go on without."""
        if self._mode == "on":
            details = ""
            if self._error is not None:
                details = "".join(traceback.format_exception(self._error))
            raise GohttpError(
                f"{self._name} takes no part in lifespan, but --lifespan on demands it.",
                details=details,
                exit_code=3,
            )
        logger.debug("%s takes no part in lifespan.", self._name, exc_info=self._error)
