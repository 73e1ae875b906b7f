"""The keywords of a request, written once: names, types and defaults."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from ._types import Rates, SamplerName, TokenSchedule, TokenTable

if TYPE_CHECKING:
    # Part of typing from Python 3.11 on. Only type checkers read it.
    from typing_extensions import Unpack as Unpack


class ModelRequest(TypedDict, total=False):
    """What a request for pictures can say to every model, beside its prompts and seed.

    ``None`` stands for the model's default.
    """

    #: In pixels.
    height: int | None
    width: int | None
    num_inference_steps: int | None
    #: Guidance is on above 1.
    guidance_scale: float | None
    num_images_per_prompt: int
    #: Which tokens the sparse blocks keep: see :data:`Rates`, :data:`TokenSchedule`, :data:`TokenTable`.
    rates: Rates
    token_schedule: TokenSchedule
    token_table: TokenTable | None
    sampler: SamplerName
    #: The share of the noise that the DDIM sampler draws anew, 0 to 1.
    eta: float
    #: Whether the prompts for a PixArt model from a folder are cleaned, as diffusers does.
    clean_caption: bool
    #: Whether to draw at exactly this size, not at one of the sizes of a PixArt model's training.
    exact_size: bool


class Request(ModelRequest, total=False):
    """The same with what a loaded model can be asked for as well."""

    #: The number of a class, or its name where the model's folder lists names, in place of a prompt.
    class_label: int | str | None


_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(Request.__annotations__),
    "num_images_per_prompt": 1,
    "eta": 0.0,
    "clean_caption": True,
    "exact_size": False,
}

_Function = TypeVar("_Function", bound=Callable[..., Any])


def complete(given: Mapping[str, Any], function: str, kind: type = Request) -> Request:
    """The keywords that ``function`` was given, with the defaults of all others.

    Raises the ``TypeError`` that Python raises for a keyword that is not one of ``kind``'s.
    """
    for name in given:
        if name not in typing.get_type_hints(kind):
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")
    return typing.cast(Request, {**_DEFAULTS, **given})


def shows(kind: type) -> Callable[[_Function], _Function]:
    """Gives a function that takes ``**request`` the signature with every keyword of ``kind``.

    Type checkers and editors read the keywords from ``Unpack``; ``help()``, notebooks and
    :func:`inspect.signature` need this.
    """

    def decorate(function: _Function) -> _Function:
        signature = inspect.signature(function)
        parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        for name, hint in typing.get_type_hints(kind).items():
            parameters.append(
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS[name], annotation=hint
                )
            )
        function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return function

    return decorate
