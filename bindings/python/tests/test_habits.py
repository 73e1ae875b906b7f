"""What users of numpy, notebooks, progress bars and diffusers expect to work."""

import copy
import importlib.util
import inspect
import io
import multiprocessing
import pickle
import subprocess
import sys

import numpy as np
import pytest
import sparsedit

SMALL = {"num_inference_steps": 2, "height": 32, "width": 64}


def test_a_pipeline_keeps_its_type(tmp_path):
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    program = tmp_path / "program.py"
    program.write_text(
        "import sparsedit\n"
        "with sparsedit.Pipeline() as pipe:\n"
        "    reveal_type(pipe)\n"
        "    pictures = pipe(['a', 'b'], seed=[1, 2], negative_prompt=None)\n"
        "    reveal_type(pictures[0])\n"
        "    reveal_type(pictures[0].numpy())\n"
        "    pictures[0].save('a.jpg')\n"
        "    number: str = pipe.info.default_steps\n"
        "    pipe('a', width='64', rates=(0.6, 0.9), token_table={0: (4, 4)}, class_label='cat')\n"
        "    pipe.cost('a', heigth=64, sampler='ddim', eta=0.5)\n"
        "sparsedit.estimate_cost(backbone='DiT-B/2', width=256, class_label=3)\n"
    )
    said = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", program],
        capture_output=True, text=True,
    ).stdout
    assert 'note: Revealed type is "sparsedit._pipeline.Pipeline"' in said, said
    assert 'note: Revealed type is "sparsedit._image.Image"' in said, said
    assert "numpy.ndarray[" in said, said
    # The mistakes are found, and no others.
    mistakes = [int(line.split(":")[1]) for line in said.splitlines() if " error: " in line]
    assert mistakes == [8, 9, 10, 11], said


def test_every_keyword_is_shown():
    """To notebooks and ``help()``, which do not read what type checkers do."""
    call = inspect.signature(sparsedit.Pipeline.__call__).parameters
    for function in (sparsedit.Pipeline.__call__, sparsedit.Pipeline.cost, sparsedit.estimate_cost):
        shown = inspect.signature(function).parameters
        for name in ("height", "rates", "token_table", "sampler", "num_images_per_prompt", "eta"):
            assert shown[name].kind is inspect.Parameter.KEYWORD_ONLY
            assert shown[name].default == call[name].default
            assert shown[name].annotation == call[name].annotation != inspect.Parameter.empty
        assert inspect.Parameter.VAR_KEYWORD not in {p.kind for p in shown.values()}
        assert ("class_label" in shown) == (function is not sparsedit.estimate_cost)
    assert call["num_images_per_prompt"].default == 1 and call["width"].default is None


def test_unknown_keywords(pipe):
    for call in (pipe, pipe.cost, sparsedit.estimate_cost):
        with pytest.raises(TypeError, match="unexpected keyword argument 'widht'"):
            call("a", widht=64)
    with pytest.raises(TypeError, match="unexpected keyword argument 'class_label'"):
        sparsedit.estimate_cost(class_label=3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'seed'"):
        pipe.cost("a", seed=3)


def test_what_a_callback_returns_does_not_matter(pipe):
    class Bar:
        """Like that of tqdm, whose ``update`` returns True when it has drawn itself."""

        steps = 0

        def update(self):
            self.steps += 1
            return True

    bar = Bar()
    (image,) = pipe("a", on_step=lambda step: bar.update(), seed=1, **SMALL)
    assert bar.steps == 2 and image.width == 64
    with pytest.raises(sparsedit.CancelledError):
        pipe("a", on_step=lambda step: pipe.cancel(), **SMALL)


def test_an_image_is_an_array(pipe):
    image = pipe("a", seed=1, **SMALL)[0]
    assert np.array_equal(np.asarray(image), image.numpy()) and np.asarray(image).dtype == np.uint8
    assert np.array_equal(np.array(image, dtype=np.float32), image.numpy().astype(np.float32))
    assert np.stack([image, image]).shape == (2, 32, 64, 3)
    with pytest.raises(ValueError):
        image.__array__(copy=False)
    if importlib.util.find_spec("matplotlib") is not None:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        assert plt.imshow(image).get_array().shape == (32, 64, 3)


def test_save_to_an_object(pipe, tmp_path):
    image = pipe("a", seed=1, **SMALL)[0]
    memory = io.BytesIO()
    image.save(memory)
    assert memory.getvalue() == image.jpeg()
    with open(tmp_path / "a.jpg", "wb") as file:
        image.save(file, quality=20, format="JPEG")
    assert (tmp_path / "a.jpg").read_bytes() == image.jpeg(20)
    with pytest.raises(sparsedit.InvalidArgumentError, match="PNG"):
        image.save(io.BytesIO(), format="PNG")


def _take(image, queue):
    queue.put((image.jpeg(75), image))


def test_pickle_and_copy(pipe):
    image = pipe("a red house", seed=9, **SMALL)[0]
    assert copy.copy(image) is image and copy.deepcopy([image])[0] is image
    assert image.parameters.startswith("a red house\n") and "Seed: 9" in image.parameters
    again = pickle.loads(pickle.dumps(image))
    assert np.array_equal(again.numpy(), image.numpy())
    assert (again.seed, again.width, again.parameters) == (9, 64, image.parameters)
    assert again.jpeg(75) == image.jpeg(75)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_take, args=(image, queue))
    child.start()
    data, back = queue.get(timeout=120)
    child.join()
    assert data == image.jpeg(75) and np.array_equal(back, image)


def test_lists(pipe):
    alone = [pipe(p, seed=s, **SMALL)[0] for p, s in (("a cat", 3), ("a dog", 4))]
    steps = []
    pictures = pipe(["a cat", "a dog"], seed=[3, 4], on_step=steps.append, **SMALL)
    assert [image.seed for image in pictures] == [3, 4]
    assert all(np.array_equal(a, b) for a, b in zip(alone, pictures))
    assert [(step.image, step.images) for step in steps] == [(0, 2), (0, 2), (1, 2), (1, 2)]
    assert all(a.seconds <= b.seconds for a, b in zip(steps, steps[1:]))
    assert pictures.images is pictures
    # One prompt for several seeds, one seed for several prompts, two pictures of each.
    assert [image.seed for image in pipe("a cat", seed=(3, 8), **SMALL)] == [3, 8]
    both = pipe(["a cat", "a dog"], ["x", "y"], seed=3, num_images_per_prompt=2, **SMALL)
    assert [image.seed for image in both] == [3, 4, 3, 4]
    assert np.array_equal(both[3], pipe("a dog", "y", seed=4, **SMALL)[0])
    assert len({image.seed for image in pipe(["a"] * 3, **SMALL)}) == 3


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"prompt": []}, "prompt is an empty list"),
        ({"prompt": ["a", 3]}, r"prompt\[1\] is a int"),
        ({"prompt": ["a", "b\0"]}, r"prompt\[1\] has a NUL"),
        ({"prompt": ["a", "b" * 70000]}, r"prompt\[1\] is 70000 bytes"),
        ({"prompt": ["a", "b", "c"], "seed": [1, 2]}, "seed is a list of 2; there are 3"),
        ({"seed": [1, -1]}, "seed"),
        ({"prompt": 7}, "int"),
        ({"output_type": "latent"}, "output_type"),
        ({"callback_steps": 0, "callback": print}, "callback_steps"),
    ],
)
def test_wrong_lists(pipe, arguments, said):
    drawn = []
    with pytest.raises(sparsedit.InvalidArgumentError, match=said):
        pipe(**{"prompt": "a", "on_step": drawn.append, **SMALL, **arguments})
    assert not drawn


def test_cancelling_a_list_ends_all_of_it(pipe):
    steps = []

    def stop(step):
        steps.append(step)
        if step.image == 1:
            assert pipe.cancel()

    with pytest.raises(sparsedit.CancelledError):
        pipe(["a", "b", "c"], on_step=stop, **SMALL)
    assert steps[-1].image == 1
    assert len(pipe("a", **SMALL)) == 1 and pipe.cancel() is False


def test_the_words_of_diffusers(pipe):
    image = pipe("a", negative_prompt=None, seed=1, **SMALL)[0]
    assert np.array_equal(image, pipe("a", negative_prompt="", seed=1, **SMALL)[0])
    said, ends = [], []
    timesteps = pipe.sampler(5).timesteps.tolist()
    pipe(
        "a", num_inference_steps=5, height=32, width=32, callback_steps=2,
        callback=lambda *told: said.append(told),
        callback_on_step_end=lambda *told: ends.append(told) or {},
    )
    assert said == [(step, timesteps[step], None) for step in (0, 2, 4)]
    assert ends == [(pipe, step, timesteps[step], {}) for step in range(5)]
    with pytest.raises(sparsedit.UnsupportedError, match="latents"):
        pipe("a", callback_on_step_end=lambda p, i, t, kwargs: kwargs["latents"], **SMALL)
    arrays = pipe(["a", "b"], seed=1, output_type="np", **SMALL)
    assert arrays.images.shape == (2, 32, 64, 3) and arrays.images.dtype == np.float32
    assert np.allclose(arrays[0] * 255, image, atol=1e-3) and arrays.images.max() <= 1
    pytest.importorskip("PIL", reason="Pillow is not installed")
    assert np.array_equal(np.asarray(pipe("a", seed=1, output_type="pil", **SMALL).images[0]), image)
