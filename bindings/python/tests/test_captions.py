"""What is done to prompts and sizes by default, as diffusers does it, and how to turn it off."""

import numpy as np
import pytest
import sparsedit


@pytest.fixture
def default_pipe(model):
    """A small PixArt model with ``sample_size`` 32."""
    with sparsedit.Pipeline(model.with_name("pixart-defaults"), precision="f32", threads=1) as pipe:
        yield pipe


def pixels(pipe, prompt, **request):
    return np.asarray(pipe(prompt, seed=5, num_inference_steps=1, **request)[0])


def test_captions_are_cleaned(default_pipe):
    """The one becomes the other, when it is cleaned."""
    size = {"width": 64, "height": 48, "exact_size": True}
    raw, clean = "a (red) house,#4k", "a red house, 4k"
    assert (pixels(default_pipe, raw, **size) == pixels(default_pipe, clean, **size)).all()
    kept = pixels(default_pipe, raw, clean_caption=False, **size)
    assert (kept != pixels(default_pipe, clean, clean_caption=False, **size)).any()


def test_sizes_of_the_training(default_pipe):
    image = default_pipe("a cat", seed=5, num_inference_steps=1, width=120, height=77)[0]
    assert (image.width, image.height) == (120, 77)
    assert "Drawn size: 304x208, Clean caption: true" in image.parameters
    with pytest.raises(sparsedit.InvalidArgumentError, match="width 120"):
        default_pipe("a cat", width=120, height=77, exact_size=True)
    cost = default_pipe.cost("a cat", width=120, height=77)
    assert cost.denoise == default_pipe.cost("a cat", width=304, height=208, exact_size=True).denoise


def test_the_model_inside_takes_requests_as_they_are(sparse_pipe):
    with pytest.raises(sparsedit.InvalidArgumentError, match="width 120"):
        sparse_pipe("a cat", width=120, height=77)
    image = sparse_pipe("a cat", seed=5, num_inference_steps=1, width=96, height=64)[0]
    assert "Drawn size" not in image.parameters and "Clean caption" not in image.parameters
