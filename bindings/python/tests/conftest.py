"""Fixtures: a small model with random weights, and the pictures that diffusers drew with it."""

import json
import os
from pathlib import Path

import pytest
import sparsedit

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "Tests" / "Golden" / "pixart-alpha"


@pytest.fixture(scope="session")
def model() -> Path:
    return GOLDEN


@pytest.fixture(scope="session")
def golden() -> dict:
    return json.loads((GOLDEN / "golden.json").read_text())


@pytest.fixture
def pipe(model):
    with sparsedit.Pipeline(model, precision="f32", threads=1) as pipe:
        yield pipe


@pytest.fixture
def class_pipe():
    """A small model that draws classes."""
    with sparsedit.Pipeline(GOLDEN.with_name("dit-alone"), precision="f32", threads=1) as pipe:
        yield pipe


@pytest.fixture
def sparse_pipe():
    """The default model, which was trained as a sparse one: 8×8 tokens for 256×256 pixels."""
    try:
        pipe = sparsedit.Pipeline(precision="f32", threads=1)
    except sparsedit.NotFoundError as error:
        pytest.skip(str(error))
    with pipe:
        yield pipe


@pytest.fixture(scope="session")
def command_line() -> Path:
    path = Path(os.environ.get("SPARSEDIT_T2I", ROOT / ".build" / "release" / "sparsedit-t2i"))
    if not path.is_file():
        pytest.skip(f"{path} is not built")
    return path
