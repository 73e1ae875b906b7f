"""Text to image with SparseDiT on a CPU.

>>> import sparsedit
>>> with sparsedit.Pipeline() as pipe:
...     pipe("a red house under a full moon", seed=7)[0].save("house.jpg")

The package needs libsparsedit (see :func:`sparsedit._library.library` for where it is looked for)
and numpy. ``sparsedit_training`` is the training kit and needs the extra of that name.
"""

from ._errors import (
    BusyError,
    CancelledError,
    CannotWriteError,
    InternalError,
    InvalidArgumentError,
    InvalidDataError,
    InvalidHandleError,
    LibraryError,
    NotFoundError,
    OutOfMemoryError,
    SparseDiTError,
    UnsupportedError,
)
from ._estimate import estimate_cost
from ._image import Image, Pictures
from ._importing import import_model
from ._options import Request
from ._pipeline import Pipeline
from ._sampler import Sampler
from ._types import (
    Cost,
    Density,
    ModelInfo,
    Progress,
    Rates,
    SamplerName,
    StageCost,
    TokenSchedule,
    TokenTable,
)

__version__ = "0.1.0"

__all__ = [
    "BusyError",
    "CancelledError",
    "CannotWriteError",
    "Cost",
    "Density",
    "Image",
    "InternalError",
    "InvalidArgumentError",
    "InvalidDataError",
    "InvalidHandleError",
    "LibraryError",
    "ModelInfo",
    "NotFoundError",
    "OutOfMemoryError",
    "Pictures",
    "Pipeline",
    "Progress",
    "Rates",
    "Request",
    "Sampler",
    "SamplerName",
    "SparseDiTError",
    "StageCost",
    "TokenSchedule",
    "TokenTable",
    "UnsupportedError",
    "estimate_cost",
    "import_model",
]
