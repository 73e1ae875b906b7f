"""Drawing and the stages."""

import struct

import numpy as np
import pytest

import sparsedit


def tensor(path, name):
    """One tensor of a safetensors file; enough of the format for the golden files."""
    import json

    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    entry = json.loads(data[8 : 8 + length])[name]
    begin, end = (8 + length + offset for offset in entry["data_offsets"])
    dtype = {"F32": "<f4", "U8": "u1", "I32": "<i4"}[entry["dtype"]]
    return np.frombuffer(data[begin:end], dtype).reshape(entry["shape"])


def relative_error(ours, theirs):
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


def test_draws_what_diffusers_draws(pipe, model, golden):
    for index, run in enumerate(golden["runs"]):
        images = pipe(
            run["prompt"],
            run["negative_prompt"],
            height=run["height"],
            width=run["width"],
            num_inference_steps=run["steps"],
            guidance_scale=run["guidance_scale"],
            seed=run["seed"],
            num_images_per_prompt=run["count"],
        )
        assert [image.seed for image in images] == [run["seed"] + i for i in range(run["count"])]
        wanted = tensor(model / "golden.safetensors", f"run.{index}.pixels").astype(int)
        difference = np.abs(np.stack([image.numpy() for image in images]).astype(int) - wanted)
        # f32 sums in another order: half a grey level on average, three at the worst.
        assert difference.mean() <= 0.5 and difference.max() <= 3


def test_stages_equal_those_of_diffusers(pipe, model, golden):
    file = model / "golden.safetensors"
    prompts = [row["prompt"] for row in golden["tokens"]]
    ids, mask = pipe.tokenize(prompts)
    assert ids.dtype == mask.dtype == np.int32
    for row, expected in enumerate(golden["tokens"]):
        assert ids[row, : len(expected["ids"])].tolist() == expected["ids"]
        assert mask[row].sum() == len(expected["ids"])

    ids, mask = pipe.tokenize([row["prompt"] for row in golden["text"]])
    embedding = pipe.encode_prompt(ids, mask)
    wanted = tensor(file, "text.embedding")
    assert embedding.shape == wanted.shape
    # 2e-5: f32 sums in another order.
    assert relative_error(embedding, wanted) < 2e-5

    for index, forward in enumerate(golden["forward"]):
        rows = forward["text_rows"]
        latents = tensor(file, f"forward.{index}.latents")
        output = pipe.denoise(latents, forward["timestep"], wanted[rows], mask[rows])
        assert relative_error(output, tensor(file, f"forward.{index}.output")) < 2e-5
    for index in range(golden["decode"]):
        pixels = pipe.decode(tensor(file, f"decode.{index}.latents"))
        assert relative_error(pixels, tensor(file, f"decode.{index}.image")) < 2e-5


def test_own_loop_equals_a_call(pipe):
    image = pipe("a cat", seed=3, num_inference_steps=3, height=64, width=96)[0]
    ids, mask = pipe.tokenize(["", "a cat"])
    embedding = pipe.encode_prompt(ids, mask)
    latents = pipe.noise(3, height=64, width=96)
    assert latents.shape == (1, 4, 8, 12)
    sampler = pipe.sampler(3)
    assert len(sampler) == 3 and sampler.timesteps[0] > sampler.timesteps[-1]
    for timestep in sampler:
        both = np.concatenate([latents, latents])
        empty, wanted = pipe.denoise(both, timestep, embedding, mask)[:, :4]
        latents = sampler.step((empty + np.float32(4.5) * (wanted - empty))[None], latents)
    pixels = pipe.decode(latents)[0].transpose(1, 2, 0)
    bytes_ = np.clip(pixels * 127.5 + 127.5, 0, 255).round().astype(int)
    # The same operations; one level for a rounding that falls the other way.
    assert np.abs(bytes_ - image.numpy()).max() <= 1


def test_pictures(pipe, tmp_path):
    image = pipe("a house", seed=1, num_inference_steps=1, height=64, width=32)[0]
    pixels = image.numpy()
    assert pixels.shape == (64, 32, 3) and pixels.dtype == np.uint8
    assert (image.width, image.height, image.seed) == (32, 64, 1)
    data = image.jpeg()
    assert data[:2] == b"\xff\xd8" and b"a house" in data.replace(b"\0", b"")
    assert image._repr_jpeg_() == data
    assert len(image.jpeg(quality=20)) < len(data)
    image.save(tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == data
    with pytest.raises(sparsedit.CannotWriteError):
        image.save(tmp_path / "missing" / "a.jpg")
    with pytest.raises(sparsedit.InvalidArgumentError):
        image.save("a\0b.jpg")
    with pytest.raises(sparsedit.InvalidArgumentError, match="quality"):
        image.jpeg(quality=0)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.jpg"]


def test_pillow(pipe):
    pytest.importorskip("PIL", reason="Pillow is not installed")
    image = pipe(num_inference_steps=1, height=32, width=64, seed=2)[0]
    assert np.array_equal(np.asarray(image.pil()), image.numpy())


def test_same_bytes_as_the_command_line(model, command_line, tmp_path):
    import subprocess

    output = tmp_path / "cli.jpg"
    subprocess.run(
        [command_line, "a blue car", "-m", model, "-o", output, "--seed", "5", "-s", "2",
         "--precision", "f32", "-j", "1", "-q", "92", "--quiet"],
        check=True,
    )
    with sparsedit.Pipeline(model, precision="f32", threads=1) as pipe:
        assert pipe("a blue car", seed=5, num_inference_steps=2)[0].jpeg(92) == output.read_bytes()


def test_progress_and_previews(pipe):
    steps, previews = [], []
    pipe(
        "a tree", seed=1, num_inference_steps=3, num_images_per_prompt=2, height=64, width=64,
        on_step=steps.append, on_preview=lambda step, pixels: previews.append((step, pixels)),
    )
    assert [(step.image, step.step) for step in steps] == [(i, s) for i in (0, 1) for s in (1, 2, 3)]
    assert all(step.steps == 3 and step.images == 2 for step in steps)
    assert all(a.seconds <= b.seconds for a, b in zip(steps, steps[1:]))
    assert [step for step, _ in previews] == steps
    assert all(pixels.shape == (8, 8, 3) for _, pixels in previews)


def test_seed_is_random_unless_given(pipe):
    a, b = (pipe(num_inference_steps=1, height=32, width=32)[0] for _ in range(2))
    assert a.seed != b.seed


def test_info_and_cost(pipe):
    info = pipe.info
    assert info.family == "PixArt-alpha" and info.precision == "f32" and info.rates is None
    assert info.default_width == 128 and info.latent_channels == 4 and info.output_channels == 8
    one, two = (pipe.cost("a", num_inference_steps=steps) for steps in (2, 4))
    assert 0 < one.macs_per_forward < one.macs_denoise < two.macs_denoise
    assert one.weight_bytes > 0 and one.peak_bytes > 128 * 128 * 3


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
        {"seed": -1},
        {"seed": 2**64},
        {"num_images_per_prompt": 0},
        {"num_images_per_prompt": 1.5},
        {"rates": "sparse"},
        {"rates": (0.9, 0.1)},
        {"rates": (0.5, 1.0)},
        {"class_label": 7},
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
    with pytest.raises(sparsedit.InvalidArgumentError):
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


def test_closed_pipelines(model):
    pipe = sparsedit.Pipeline(model)
    image = pipe(num_inference_steps=1, height=32, width=32, seed=0)[0]
    pipe.close()
    pipe.close()
    for use in (pipe, pipe.cancel, lambda: pipe.info, lambda: pipe.tokenize("a")):
        with pytest.raises(sparsedit.InvalidHandleError, match="closed"):
            use()
    assert image.numpy().shape == (32, 32, 3)
