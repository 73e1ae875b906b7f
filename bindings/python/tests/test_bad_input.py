"""What a pipeline refuses."""

import json

import numpy as np
import pytest
import sparsedit


@pytest.mark.parametrize(
    "arguments",
    [
        {"prompt": "\ud800"},
        {"prompt": "a\0b"},
        {"prompt": "a" * 100_000},
        {"prompt": b"bytes"},
        {"height": 0},
        {"height": 2**40},
        {"width": 17},
        {"width": -64},
        {"num_inference_steps": 0},
        {"num_inference_steps": 10**9},
        {"guidance_scale": float("nan")},
        {"guidance_scale": 1e308},
        {"guidance_scale": "strong"},
        {"seed": -1},
        {"seed": 2**64},
        {"num_images_per_prompt": 0},
        {"num_images_per_prompt": 1.5},
        {"rates": "sparse"},
        {"rates": 0.5},
        {"rates": (0.5,)},
        {"rates": (0.5, None)},
        {"rates": (0.9, 0.1)},
        {"rates": (0.5, 1.0)},
        {"class_label": 7},
        {"class_label": "tench"},
        {"sampler": "lms"},
        {"eta": 0.5},
        {"eta": None},
        {"sampler": "ddim", "eta": float("nan")},
        {"token_schedule": "sometimes"},
        {"rates": "dense", "token_schedule": "linear"},
        {"rates": (0.5, 0.6), "token_table": {0: 0.5}},
        {"rates": (0.5, 0.6), "token_table": lambda timestep, grid: 0.5},
        {"token_table": {}},
        {"token_table": {250: 0.5}},
        {"token_table": {0: 1.0}},
        {"token_table": {0: (0, 4)}},
        {"token_table": {0: "half"}},
        {"token_table": {0: (1, 2, 3)}},
        {"token_table": {0.5: 0.5}},
    ],
)
def test_wrong_requests(pipe, arguments):
    with pytest.raises(sparsedit.InvalidArgumentError) as error:
        pipe(**arguments)
    assert error.value.status == 1 and isinstance(error.value, ValueError) and str(error.value)


def test_wrong_stages(pipe):
    with pytest.raises(sparsedit.InvalidArgumentError, match="vocabulary"):
        pipe.encode_prompt([[10**6]], [[1]])
    with pytest.raises(sparsedit.InvalidArgumentError, match="mask"):
        pipe.encode_prompt([[1]], [[2]])
    with pytest.raises(sparsedit.InvalidArgumentError):
        pipe.decode(np.zeros((1, 3, 8, 8)))
    with pytest.raises(sparsedit.InvalidArgumentError):
        pipe.denoise(np.zeros((1, 4, 7, 8)), 1, np.zeros((1, 4, 32)))
    with pytest.raises(sparsedit.InvalidArgumentError):
        pipe.denoise(np.zeros((1, 4, 8, 8)), float("nan"), np.zeros((1, 4, 32)))
    with pytest.raises(sparsedit.InvalidArgumentError):
        pipe.noise(0, height=-8)
    sampler = pipe.sampler(1)
    sampler.step(np.zeros(4), np.zeros(4))
    with pytest.raises(sparsedit.InvalidArgumentError, match="all its 1 steps"):
        sampler.step(np.zeros(4), np.zeros(4))


def test_wrong_pipelines(model, tmp_path):
    with pytest.raises(sparsedit.NotFoundError, match="nowhere"):
        sparsedit.Pipeline(tmp_path / "nowhere")
    with pytest.raises(sparsedit.InvalidArgumentError):
        sparsedit.Pipeline(model, precision="f16")
    with pytest.raises(sparsedit.InvalidArgumentError):
        sparsedit.Pipeline(model, threads=0)
    with pytest.raises(sparsedit.OutOfMemoryError) as error:
        with sparsedit.Pipeline(model, threads=1, memory_limit=1000) as pipe:
            pipe("a house")
    assert isinstance(error.value, MemoryError) and error.value.status == 5


def test_messages_are_one_printable_line(pipe, tmp_path):
    hostile = "\x1b]0;owned\x07\r\n\u202e" + "x" * 300_000
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": hostile}))
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "model_index.json").write_text(json.dumps({"_class_name": "\n" * 5000}))
    for call in (
        lambda: sparsedit.Pipeline(tmp_path),
        lambda: sparsedit.Pipeline(tmp_path / "plain"),
        lambda: sparsedit.Pipeline("none\n\x1b"),
        lambda: pipe(sampler=hostile),
        lambda: pipe(num_inference_steps=hostile),
        lambda: sparsedit.estimate_cost(model=tmp_path),
        lambda: sparsedit.estimate_cost(backbone=hostile),
        lambda: pipe.find_class(hostile[:60_000]),
    ):
        with pytest.raises(sparsedit.SparseDiTError) as error:
            call()
        said = str(error.value)
        assert said.isprintable() and 10 < len(said.encode()) <= 1000, said
        assert type(error.value)(said).args == error.value.args


def test_closed_pipelines(model):
    pipe = sparsedit.Pipeline(model)
    image = pipe(num_inference_steps=1, height=32, width=32, seed=0)[0]
    pipe.close()
    pipe.close()
    for use in (pipe, pipe.cancel, lambda: pipe.info, lambda: pipe.tokenize("a")):
        with pytest.raises(sparsedit.InvalidHandleError, match="closed"):
            use()
    assert image.numpy().shape == (32, 32, 3)
