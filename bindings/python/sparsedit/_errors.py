"""Exceptions: one class per status of the library, all below :class:`SparseDiTError`."""

from __future__ import annotations


class SparseDiTError(Exception):
    """Anything that went wrong in the library. ``status`` is the code in ``sparsedit.h``."""

    status: int = 12

    def __init__(self, message: str = "") -> None:
        super().__init__(_line(message))


class InvalidArgumentError(SparseDiTError, ValueError):
    """An argument, option, size or prompt is wrong."""

    status = 1


class InvalidDataError(SparseDiTError):
    """A model file's content is wrong."""

    status = 2


class UnsupportedError(SparseDiTError):
    """A model file is legal but asks for something that the library does not do."""

    status = 3


class NotFoundError(SparseDiTError):
    """A file or folder is missing or unreadable."""

    status = 4


class OutOfMemoryError(SparseDiTError, MemoryError):
    """A request would not fit in memory or in the memory limit."""

    status = 5


class CannotWriteError(SparseDiTError):
    """An output could not be written; no partial file is left."""

    status = 6


class CancelledError(SparseDiTError):
    """The call was cancelled by :meth:`sparsedit.Pipeline.cancel` or by a callback."""

    status = 7


class BusyError(SparseDiTError):
    """Another thread is inside a call on this pipeline."""

    status = 8


class InvalidHandleError(SparseDiTError):
    """The pipeline is closed, or was made before a fork."""

    status = 10


class InternalError(SparseDiTError):
    """A failure inside the library: please report it with the message."""

    status = 12


class LibraryError(SparseDiTError, ImportError):
    """libsparsedit was not found, could not be loaded, or has another binary interface."""


#: Most characters of a message, as in the library.
_LIMIT = 1000


def _line(message: str) -> str:
    """A message as one printable line that is not too long. The library's messages are that already;
    those of this package quote what the caller gave."""
    line = "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in message)
    if len(line.encode()) <= _LIMIT:
        return line
    head = line.encode()[: _LIMIT * 3 // 5].decode(errors="ignore")
    mark = " … "
    room = _LIMIT - len(head.encode()) - len(mark.encode())
    return head + mark + line.encode()[-room:].decode(errors="ignore")


_BY_STATUS: dict[int, type[SparseDiTError]] = {
    kind.status: kind
    for kind in (
        InvalidArgumentError,
        InvalidDataError,
        UnsupportedError,
        NotFoundError,
        OutOfMemoryError,
        CannotWriteError,
        CancelledError,
        BusyError,
        InvalidHandleError,
        InternalError,
    )
}


def error_for(status: int, message: str) -> SparseDiTError:
    """The exception for a status; one that only a newer library knows is an internal error."""
    error = _BY_STATUS.get(status, InternalError)(message)
    error.status = status
    return error
