"""The cost of a request, for a model that is not loaded."""

from __future__ import annotations

import ctypes
import os
from ctypes import byref, sizeof
from typing import TYPE_CHECKING, Literal

from . import _interface as abi
from ._calls import LongCall
from ._convert import choice, encoded_name, encoded_path
from ._errors import error_for
from ._library import library
from ._options import ModelRequest, complete, shows
from ._request import CostAnswer, generate_options
from ._types import Cost

if TYPE_CHECKING:
    from ._options import Unpack


@shows(ModelRequest)
def estimate_cost(
    prompt: str = "",
    negative_prompt: str | None = None,
    *,
    backbone: str | None = None,
    model: str | os.PathLike[str] | None = None,
    precision: Literal["f32", "bf16", None] = None,
    **request: Unpack[ModelRequest],
) -> Cost:
    """As :meth:`Pipeline.cost`, without weights.

    ``backbone`` is a name that papers use: ``"DiT-XL/2"`` or another of S, B, L, XL and 2, 4, 8, or
    ``"PixArt-XL/2"``. It is counted as a SparseDiT unless ``rates`` are ``"dense"``, without prompts and
    with timesteps at equal distances. Without ``backbone`` the configurations of ``model`` are read: a
    diffusers pipeline folder, or ``None`` for the default model. Without prompts, the number of
    tokens that prompts are padded to is counted.
    """
    lib = library()
    estimate = abi.EstimateOptions()
    lib.estimate_options_init(byref(estimate), sizeof(estimate))
    if backbone is not None:
        estimate.backbone = encoded_name(backbone, "backbone")
    if model is not None:
        estimate.model_path = encoded_path(model, "model")
    estimate.precision = choice(precision, abi.PRECISIONS, "precision")
    call = LongCall(lambda: None)
    whole = complete(request, "estimate_cost", ModelRequest)
    options = generate_options(lib, call, whole, prompt, negative_prompt)
    answer = CostAnswer(options)
    message = ctypes.create_string_buffer(4096)
    asked, said = (byref(estimate), byref(options)), (message, len(message))
    status = call.run(
        lambda: lib.estimate_cost(*asked, byref(answer.cost), *said)
        or lib.estimate_step_costs(*asked, *answer.steps, *said)
    )
    if status != abi.OK:
        raise error_for(status, message.value.decode("utf-8", "replace"))
    return answer.value()
