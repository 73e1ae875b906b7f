"""Importing checkpoints: what the command line's tests do not reach from Python."""

import os
import re
import signal
import threading

import numpy as np
import pytest
import sparsedit
from conftest import GOLDEN

SOURCES = GOLDEN.with_name("import")
ALPHA = [SOURCES / "alpha.pth", SOURCES / "t5", SOURCES / "vae"]


def test_imports_and_draws(tmp_path):
    heard = []
    sparsedit.import_model(ALPHA, tmp_path / "model", format="f32", heads=1, on_progress=lambda *p: heard.append(p))
    written = sum(file.stat().st_size for file in (tmp_path / "model").rglob("*") if file.is_file())
    assert heard == sorted(heard) and heard[-1] == (written, written) and len({total for _, total in heard}) == 1
    request = {"height": 32, "width": 48, "num_inference_steps": 2, "seed": 3}
    with sparsedit.Pipeline(tmp_path / "model", precision="f32", threads=1) as pipe:
        drawn = pipe("a red house", **request)[0].numpy()
    # The folder whose weights were published in these forms.
    with sparsedit.Pipeline(GOLDEN.with_name("pixart-half"), precision="f32", threads=1) as pipe:
        assert np.array_equal(pipe("a red house", **request)[0].numpy(), drawn)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_one_folder_is_one_source(tmp_path):
    sparsedit.import_model(str(GOLDEN), str(tmp_path / "model"), format="f16")
    assert (tmp_path / "model" / "model_index.json").is_file()


@pytest.mark.parametrize(
    "sources, more, error, said",
    [
        ([], {}, sparsedit.InvalidArgumentError, "at least one"),
        (["/nowhere"], {}, sparsedit.NotFoundError, "/nowhere"),
        (["a\0b"], {}, sparsedit.InvalidArgumentError, "NUL"),
        (ALPHA[:1], {}, sparsedit.InvalidArgumentError, "text encoder, tokenizer, autoencoder"),
        (ALPHA, {"format": "int8"}, sparsedit.InvalidArgumentError, "'bf16', 'f32', 'f16'"),
        (ALPHA, {"heads": 0}, sparsedit.InvalidArgumentError, "heads is 0"),
        (ALPHA, {"heads": 5}, sparsedit.InvalidArgumentError, "number of heads"),
        (ALPHA, {"heads": 1, "generation": "gamma"}, sparsedit.InvalidArgumentError, "'alpha', 'sigma'"),
        (ALPHA, {"heads": 1, "variant": "fp16"}, sparsedit.NotFoundError, "fp16"),
        ([SOURCES / "forms.pt"], {}, sparsedit.UnsupportedError, "of no model that is known"),
    ],
)
def test_mistakes(tmp_path, sources, more, error, said):
    with pytest.raises(error, match=re.escape(said)):
        sparsedit.import_model(sources, tmp_path / "model", **more)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(sparsedit.CannotWriteError, match="is there already"):
        sparsedit.import_model(ALPHA, tmp_path, heads=1)
    assert (tmp_path / "file").read_text() == "mine"


def test_raising_and_interrupting_cancel(tmp_path):
    def fail(done, total):
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        sparsedit.import_model(ALPHA, tmp_path / "model", heads=1, on_progress=fail)

    def interrupt(done, total):
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(0.05)

    with pytest.raises(KeyboardInterrupt):
        sparsedit.import_model(ALPHA, tmp_path / "model", heads=1, on_progress=interrupt)
    assert not list(tmp_path.iterdir())
