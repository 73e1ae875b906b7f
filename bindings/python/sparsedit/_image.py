"""Pictures."""

from __future__ import annotations

import ctypes
import os
import weakref
from ctypes import byref
from typing import TYPE_CHECKING

import numpy as np

from ._convert import encoded_jpeg_path, integer
from ._interface import ImageView
from ._library import Library

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

DEFAULT_QUALITY = 92


class ImageSet:
    """The library's handle on the pictures of one call; freed with the last :class:`Image`."""

    def __init__(self, library: Library, handle: ctypes.c_void_p) -> None:
        self.library = library
        self.handle = handle
        self._finalizer = weakref.finalize(self, library.images_destroy, handle)

    def images(self) -> list[Image]:
        return [Image(self, index) for index in range(self.library.images_count(self.handle))]

    def check(self, status: int) -> None:
        self.library.check(status, "images", self.handle)


class Image:
    """A picture that a pipeline drew. Immutable; may be used from any thread."""

    def __init__(self, images: ImageSet, index: int) -> None:
        self._images = images
        self._index = index
        view = ImageView(struct_size=ctypes.sizeof(ImageView))
        images.check(images.library.images_get(images.handle, index, byref(view)))
        self._view = view

    @property
    def width(self) -> int:
        return self._view.width

    @property
    def height(self) -> int:
        return self._view.height

    @property
    def seed(self) -> int:
        """The seed that draws this picture again with ``num_images_per_prompt=1``."""
        return self._view.seed

    def numpy(self) -> np.ndarray:
        """The pixels: a new array [height, width, 3] of uint8."""
        return pixels(self._view)

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

    def save(self, path: str | os.PathLike[str], quality: int = DEFAULT_QUALITY) -> None:
        """Writes the picture as JPEG; the file appears whole or not at all. A name of another format,
        such as ``"x.png"``, is refused."""
        encoded = encoded_jpeg_path(path, "path")
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


def _quality(value: int) -> int:
    return integer(value, 1, 100, "quality")


def pixels(view: ImageView) -> np.ndarray:
    """A copy of what a view shows, [height, width, 3] of uint8."""
    rows = np.ctypeslib.as_array(view.pixels, (view.height * view.stride,))
    return rows.reshape(view.height, view.stride)[:, : view.width * 3].reshape(
        view.height, view.width, 3
    ).copy()
