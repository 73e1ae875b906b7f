"""Pictures, and lists of them."""

from __future__ import annotations

import ctypes
import os
import weakref
from ctypes import byref
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

import numpy as np
import numpy.typing as npt

from ._convert import encoded_jpeg_path, integer, pointer
from ._errors import InvalidArgumentError, error_for
from ._interface import OK, ImageView
from ._library import Library, library

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

DEFAULT_QUALITY = 92


class ImageSet:
    """The library's handle on the pictures of one call; freed with the last :class:`Image`."""

    def __init__(self, library: Library, handle: ctypes.c_void_p) -> None:
        self.library = library
        self.handle = handle
        self._finalizer = weakref.finalize(self, library.images_destroy, handle)

    def images(self) -> Pictures[Image]:
        return Pictures(
            Image(self, index) for index in range(self.library.images_count(self.handle))
        )

    def check(self, status: int) -> None:
        self.library.check(status, "images", self.handle)


class Image:
    """A picture that a pipeline drew. Immutable; may be used from any thread, copied and pickled.

    It is an array to numpy and what builds on it: ``np.asarray(image)``, ``plt.imshow(image)``.
    """

    def __init__(self, images: ImageSet, index: int) -> None:
        self._images = images
        self._index = index
        view = ImageView(struct_size=ctypes.sizeof(ImageView))
        images.check(images.library.images_get_view(images.handle, index, byref(view)))
        self._view = view

    @property
    def width(self) -> int:
        return int(self._view.width)

    @property
    def height(self) -> int:
        return int(self._view.height)

    @property
    def seed(self) -> int:
        """The seed that draws this picture again with ``num_images_per_prompt=1``."""
        return int(self._view.seed)

    @property
    def parameters(self) -> str:
        """Prompt and settings, as its JPEG carries them."""
        lib, handle = self._images.library, self._images.handle
        text = ctypes.create_string_buffer(lib.images_parameters(handle, self._index, None, 0) + 1)
        lib.images_parameters(handle, self._index, text, len(text))
        return text.value.decode()

    def numpy(self) -> npt.NDArray[np.uint8]:
        """The pixels: a new array [height, width, 3] of uint8."""
        return pixels(self._view)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("a picture is copied where it becomes an array")
        return self.numpy() if dtype is None else self.numpy().astype(dtype)

    def __copy__(self) -> Image:
        return self

    def __deepcopy__(self, _: object) -> Image:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.numpy(), self.seed, self.parameters)

    def jpeg(self, quality: int = DEFAULT_QUALITY) -> bytes:
        """The picture as JPEG, quality 1 to 100, with prompt and settings in its EXIF data."""
        library = self._images.library
        data = ctypes.POINTER(ctypes.c_uint8)()
        count = ctypes.c_size_t()
        self._images.check(
            library.images_encode_jpeg(
                self._images.handle, self._index, _quality(quality), byref(data), byref(count)
            )
        )
        try:
            return ctypes.string_at(data, count.value)
        finally:
            library.free(data)

    def save(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        quality: int = DEFAULT_QUALITY,
        format: str | None = None,
    ) -> None:
        """Writes the picture as JPEG to a file, which appears whole or not at all, or to an object
        with a method ``write``, such as ``io.BytesIO``. A name of another format, such as
        ``"x.png"``, and another ``format`` than ``"JPEG"`` are refused: see :meth:`pil`."""
        if format is not None and format.upper() not in ("JPEG", "JPG"):
            raise InvalidArgumentError(
                f"format is {format!r}; pictures are written as JPEG: take pil() for other formats"
            )
        if not isinstance(path, (str, bytes, os.PathLike)) and hasattr(path, "write"):
            path.write(self.jpeg(quality))
            return
        encoded = encoded_jpeg_path(cast("str | os.PathLike[str]", path), "path")
        self._images.check(
            self._images.library.images_save_jpeg(
                self._images.handle, self._index, _quality(quality), encoded
            )
        )

    def pil(self) -> PillowImage:
        """The picture for Pillow, which has to be installed."""
        from PIL import Image as pillow

        return pillow.fromarray(self.numpy())

    def _repr_jpeg_(self) -> bytes:
        return self.jpeg()

    def __repr__(self) -> str:
        return f"<sparsedit.Image {self.width}x{self.height}, seed {self.seed}>"


_Element = TypeVar("_Element")


class Pictures(list[_Element]):
    """What a call drew: a list, which also has the attribute ``images`` of diffusers' results."""

    @property
    def images(self) -> Any:
        """The list itself; with ``output_type="np"`` one array [N, height, width, 3]."""
        values: list[Any] = self
        return np.stack(values) if values and isinstance(values[0], np.ndarray) else self

    def converted(self, output_type: str | None) -> Any:
        """The pictures in the form that diffusers gives for this ``output_type``."""
        if output_type == "pil":
            return Pictures(image.pil() for image in self)  # type: ignore[attr-defined]
        if output_type == "np":
            return Pictures(np.float32(image) / 255 for image in self)  # type: ignore[arg-type]
        return self


def _restored(values: npt.NDArray[np.uint8], seed: int, parameters: str) -> Image:
    """The picture that was pickled, perhaps by another process."""
    lib = library()
    height, width, _ = values.shape
    values = np.ascontiguousarray(values, np.uint8)
    view = ImageView(
        struct_size=ctypes.sizeof(ImageView), width=width, height=height, stride=3 * width,
        pixels=pointer(values, ctypes.c_uint8), seed=seed,
    )
    text, handle = parameters.encode(), ctypes.c_void_p()
    message = ctypes.create_string_buffer(1024)
    status = lib.images_create(
        byref(view), text, len(text), byref(handle), message, len(message)
    )
    if status != OK:
        raise error_for(status, message.value.decode("utf-8", "replace"))
    return ImageSet(lib, handle).images()[0]


def _quality(value: int) -> int:
    return integer(value, 1, 100, "quality")


def pixels(view: ImageView) -> npt.NDArray[np.uint8]:
    """A copy of what a view shows, [height, width, 3] of uint8."""
    rows = np.ctypeslib.as_array(view.pixels, (view.height * view.stride,))
    return rows.reshape(view.height, view.stride)[:, : view.width * 3].reshape(
        view.height, view.width, 3
    ).copy()
