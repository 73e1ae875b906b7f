"""A handle of the library: how it is made, called and closed."""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import weakref
from collections.abc import Callable
from ctypes import byref, c_size_t, c_void_p, sizeof
from typing import Any, Literal, TypeVar

import numpy as np

from . import _interface as abi
from ._calls import LongCall
from ._convert import choice, encoded_path, integer, pointer, positive, utf8
from ._errors import BusyError, error_for
from ._library import library
from ._types import ModelInfo

_Self = TypeVar("_Self", bound="PipelineHandle")

_logger = logging.getLogger("sparsedit")


class PipelineHandle:
    """A handle with its lifetime, its calls and its messages: the base of :class:`Pipeline`."""

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        precision: Literal["f32", "bf16", None] = None,
        threads: int | None = None,
        memory_limit: int | None = None,
    ) -> None:
        self._library = library()
        options = abi.PipelineOptions()
        self._library.pipeline_options_init(byref(options), sizeof(options))
        if model is not None:
            options.model_path = encoded_path(model, "model")
        options.precision = choice(precision, abi.PRECISIONS, "precision")
        options.threads = 0 if threads is None else positive(threads, "threads")
        options.memory_limit = (
            0 if memory_limit is None else integer(memory_limit, 1, 2**64 - 1, "memory_limit")
        )
        self._log = abi.LogCallback(_log)
        options.log = self._log
        handle = c_void_p()
        message = ctypes.create_string_buffer(4096)
        status = self._library.pipeline_create(
            byref(options), byref(handle), message, len(message)
        )
        if status != abi.OK:
            raise error_for(status, message.value.decode("utf-8", "replace"))
        self._handle = handle
        self._calls = 0
        #: The thread that draws a list. No other call may come between the list's requests.
        self._list_thread: int | None = None
        self._is_list_cancelled = False
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, self._library.pipeline_destroy, handle)

    # ------------------------------------------------------------------ lifetime

    def close(self) -> None:
        """Frees the model; closing twice does nothing. Pictures outlive their pipeline.

        Raises :class:`BusyError` while a call runs: cancel it first.
        """
        with self._lock:
            if self._calls:
                raise BusyError("a call is running on this pipeline: cancel it before closing")
            self._handle = c_void_p()
            self._finalizer()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cancel(self) -> bool:
        """Makes the running call raise :class:`CancelledError`, within one block of the model.

        From any thread, also from callbacks. False when no call was running: nothing happens then.
        """
        status = self._library.pipeline_cancel(self._handle)
        if status not in (abi.OK, abi.IDLE):
            self._check(status)
        with self._lock:
            # Between two requests of a list no call runs.
            self._is_list_cancelled = self._list_thread is not None
            return status == abi.OK or self._is_list_cancelled

    @property
    def info(self) -> ModelInfo:
        """What the model is."""
        raw = abi.PipelineInfo(struct_size=sizeof(abi.PipelineInfo))
        self._check(self._library.pipeline_get_info(self._handle, byref(raw)))
        values = {name: getattr(raw, name) for name, *_ in raw._fields_[1:]}
        rates = (values.pop("rate_min"), values.pop("rate_max"))
        is_sparse = values.pop("is_sparse")
        names = {number: name for name, number in abi.PRECISIONS.items()}
        return ModelInfo(
            **{
                **values,
                "family": raw.family.decode(),
                "precision": names[raw.precision],
                "rates": rates if is_sparse else None,
            }
        )

    def find_class(self, name: str) -> int:
        """The label of the class that has this name in the model's folder, in whatever case."""
        text = utf8(name, "name")
        label = ctypes.c_int32()
        self._check(self._library.pipeline_find_class(self._handle, text, len(text), byref(label)))
        return label.value

    # ------------------------------------------------------------------ calls

    def _run(
        self, function: Callable[..., int], *arguments: Any, call: LongCall | None = None
    ) -> None:
        """Makes a call that may take a long time."""
        call = call or LongCall(self.cancel)
        if self._list_thread not in (None, threading.get_ident()):
            raise BusyError("another call on this pipeline is running")
        with self._entered() as handle:
            self._check(call.run(lambda: function(handle, *arguments)))

    def _fill(self, array: np.ndarray, function: Callable[..., int], *arguments: Any) -> None:
        """Makes a call that fills an array and reports how many elements it needs."""
        needed = c_size_t()
        self._run(
            function, *arguments, pointer(array, ctypes.c_float), array.size, byref(needed)
        )

    def _empty(self, shape: tuple[int, ...]) -> np.ndarray:
        try:
            return np.empty(shape, np.float32)
        except (MemoryError, ValueError) as error:
            raise error_for(5, f"no memory for an array of shape {shape}: {error}") from None

    def _entered(self) -> _Entered:
        return _Entered(self)

    def _check(self, status: int) -> None:
        self._library.check(status, "pipeline", self._handle)


class _Entered:
    """Keeps a pipeline's handle from being closed during a call."""

    def __init__(self, pipeline: PipelineHandle) -> None:
        self._pipeline = pipeline

    def __enter__(self) -> c_void_p:
        with self._pipeline._lock:
            self._pipeline._calls += 1
            return self._pipeline._handle

    def __exit__(self, *_: object) -> None:
        with self._pipeline._lock:
            self._pipeline._calls -= 1


def _log(message: bytes, _: object) -> None:
    _logger.warning("%s", message.decode("utf-8", "replace"))
