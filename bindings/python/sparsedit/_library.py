"""Finding libsparsedit and calling it."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._errors import LibraryError, error_for
from ._interface import ABI_VERSION, BUSY, INVALID_HANDLE, OK, SIGNATURES

_FILE = f"libsparsedit.so.{ABI_VERSION}"


class Library:
    """The loaded library; its functions are attributes without the prefix ``sparsedit_``."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            loaded = ctypes.CDLL(path)
        except OSError as error:
            raise LibraryError(f"cannot load {path}: {error}") from None
        try:
            for name, (result, *arguments) in SIGNATURES.items():
                function = getattr(loaded, f"sparsedit_{name}")
                function.restype, function.argtypes = result, arguments
                setattr(self, name, function)
        except AttributeError as error:
            raise LibraryError(f"{path} is not a libsparsedit of this version: {error}") from None
        if self.abi_version() != ABI_VERSION:
            raise LibraryError(
                f"{path} has binary interface {self.abi_version()}; this package needs {ABI_VERSION}"
            )

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., Any]:
            """The functions of :data:`SIGNATURES`, which ``__init__`` sets."""

    def message(self, kind: str, handle: ctypes.c_void_p) -> str:
        """The message of the last failed call on a handle of that kind ("pipeline", ...)."""
        read = getattr(self, f"{kind}_message")
        buffer = ctypes.create_string_buffer(read(handle, None, 0) + 1)
        read(handle, buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")

    def check(self, status: int, kind: str, handle: ctypes.c_void_p) -> None:
        """Raises the exception for a status that is not OK."""
        if status == OK:
            return
        name = self.status_name(status).decode()
        if status == INVALID_HANDLE:
            raise error_for(status, f"this {kind} is closed, or was made before a fork")
        if status == BUSY:
            # It leaves no message: what is there may be about an earlier call.
            raise error_for(status, f"another call on this {kind} is running")
        raise error_for(status, self.message(kind, handle) or name)


@functools.lru_cache(maxsize=1)
def library() -> Library:
    """The library of this process, found and loaded at first use.

    Looked for in this order: the file that the variable ``SPARSEDIT_LIBRARY`` names; beside this
    module, where ``pip install`` puts it; the ``build`` folder of the repository that holds this
    module; where the system's loader looks.
    """
    chosen = os.environ.get("SPARSEDIT_LIBRARY")
    if chosen:
        return Library(chosen)
    for path in _candidates():
        if path.is_file():
            return Library(str(path))
    try:
        ctypes.CDLL(_FILE)
    except OSError as error:
        raise LibraryError(
            f"{_FILE} was not found ({error}): build it with `make lib` in the repository, install "
            "it with `make install`, or name it in the variable SPARSEDIT_LIBRARY"
        ) from None
    return Library(_FILE)


def _candidates() -> Iterator[Path]:
    here = Path(__file__).resolve().parent
    yield here / _FILE
    # bindings/python/sparsedit -> the repository
    if len(here.parents) > 2:
        yield here.parents[2] / "build" / _FILE
