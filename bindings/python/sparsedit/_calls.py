"""Long calls that let Ctrl-C and other threads through."""

from __future__ import annotations

import _thread
import queue
import threading
from collections.abc import Callable
from typing import Any

from ._errors import OutOfMemoryError


class LongCall:
    """Runs one call of the library on a thread of its own while the caller waits.

    The waiting thread can be interrupted: an exception there (Ctrl-C above all) cancels the call,
    and is raised again when the call has returned. In the other direction, :meth:`on_caller` runs
    the functions of callbacks on the thread that waits, so that user code runs on no other thread.
    """

    def __init__(self, cancel: Callable[[], Any]) -> None:
        self._cancel = cancel
        self._requests: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._has_ended = False
        # "work" or "caller": the first one in it decides whether the call is made.
        self._claims: list[str] = []

    def run(self, call: Callable[[], int]) -> int:
        """Returns what ``call`` returns, or raises what a callback or the waiting raised."""
        result: list[int] = []

        def work() -> None:
            if not self._is_first("work"):
                return  # the caller gave up before it began
            try:
                result.append(call())
            except BaseException as error:  # such as a wrong argument type
                self._failure = self._failure or error
            finally:
                self._has_ended = True
                self._requests.put(None)

        # An interrupt may come at any line here, and the call must end before its arguments are freed.
        # Hence the plain thread: Thread.start() waits, and would not know what it started. The system
        # may also refuse the thread. A call that did not begin is not waited for. One that has just
        # begun may not be running yet when it is cancelled: hence the timeout.
        is_started = False
        while not self._has_ended:
            try:
                if self._failure is not None:
                    if self._is_first("caller"):
                        break
                    self._cancel()
                elif not is_started:
                    is_started = True
                    _start(work)
                request = self._requests.get(timeout=0.1 if self._failure else None)
                if request is not None:
                    request()
            except queue.Empty:
                pass
            except BaseException as error:
                self._failure = self._failure or error
        if self._failure is not None:
            raise self._failure
        return result[0]

    def _is_first(self, claimant: str) -> bool:
        # Appending is atomic, and an interrupt between the two lines does no harm: ask again.
        self._claims.append(claimant)
        return self._claims[0] == claimant

    def on_caller(self, function: Callable[[], int]) -> int:
        """Runs ``function`` on the waiting thread; returns 1, for cancel, when something raised."""
        answer: list[int] = []
        done = threading.Event()

        def request() -> None:
            try:
                answer.append(function())
            finally:
                done.set()

        self._requests.put(request)
        # A request is lost when an interrupt comes after it left the queue and before it starts.
        while not done.wait(timeout=0.1):
            if self._failure is not None:
                break
        return answer[0] if answer else 1


def _start(work: Callable[[], None]) -> None:
    try:
        _thread.start_new_thread(work, ())
    except (RuntimeError, MemoryError) as error:
        raise OutOfMemoryError(f"the system refused a thread: {error}") from None
