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


@pytest.mark.parametrize(
    "sampler, eta", [(None, 0), ("ddpm", 0), ("ddim", 0), ("ddim", 0.5), ("dpm++2m", 0), ("euler", 0)]
)
def test_own_loop_equals_a_call(pipe, sampler, eta):
    size = {"height": 64, "width": 96}
    image = pipe("a cat", seed=3, num_inference_steps=3, sampler=sampler, eta=eta, **size)[0]
    ids, mask = pipe.tokenize(["", "a cat"])
    embedding = pipe.encode_prompt(ids, mask)
    loop = pipe.sampler(3, sampler, eta, seed=3, drawn=4 * 8 * 12)
    assert len(loop) == 3 and loop.timesteps[0] > loop.timesteps[-1]
    # The model predicts a variance, which only DDPM takes.
    assert loop.uses_variance == (sampler == "ddpm")
    assert loop.is_stochastic == (sampler == "ddpm" or eta > 0)
    latents = pipe.noise(3, **size) * np.float32(loop.initial_noise_scale)
    assert latents.shape == (1, 4, 8, 12)
    for timestep in loop:
        both = np.concatenate([loop.scale_input(latents)] * 2)
        empty, wanted = pipe.denoise(both, timestep, embedding, mask)
        guided = empty[:4] + np.float32(4.5) * (wanted - empty)[:4]
        output = np.concatenate([guided, wanted[4:]]) if loop.uses_variance else guided
        latents = loop.step(output[None], latents)
    pixels = pipe.decode(latents)[0].transpose(1, 2, 0)
    bytes_ = np.clip(pixels * 127.5 + 127.5, 0, 255).round().astype(int)
    # The same operations; one level is allowed for a sum that rounds the other way.
    assert np.abs(bytes_ - image.numpy()).max() <= 1


@pytest.mark.parametrize("sampler, eta", [(None, 0), ("ddpm", 0), ("ddim", 1), ("euler", 0)])
def test_own_loop_over_classes_equals_a_call(class_pipe, sampler, eta):
    """As diffusers' DiTPipeline does it: both halves of a guided batch go through the sampler, and the
    second is then replaced by the first."""
    pipe, info = class_pipe, class_pipe.info
    how = {"sampler": sampler, "eta": eta}
    image = pipe(class_label="golden retriever", seed=3, num_inference_steps=3, guidance_scale=4, **how)
    noise = pipe.noise(3)
    loop = pipe.sampler(3, **how, seed=3, drawn=noise.size)
    latents = np.concatenate([noise, noise]) * np.float32(loop.initial_noise_scale)
    for timestep in loop:
        latents[1] = latents[0]
        output = pipe.denoise(
            loop.scale_input(latents), timestep, class_labels=[207, info.class_count]
        )
        wanted, empty = output[:, : info.guided_channels].copy()
        output[:, : info.guided_channels] = empty + np.float32(4) * (wanted - empty)
        output = output if loop.uses_variance else output[:, : info.latent_channels]
        latents = loop.step(output, latents)
    pixels = pipe.decode(latents[:1])[0].transpose(1, 2, 0)
    bytes_ = np.clip(pixels * 127.5 + 127.5, 0, 255).round().astype(int)
    # The same operations; one level is allowed for a sum that rounds the other way.
    assert np.abs(bytes_ - image[0].numpy()).max() <= 1


def test_classes(class_pipe):
    info = class_pipe.info
    assert info.class_count == 1000 and info.text_channels == info.max_prompt_tokens == 0
    assert class_pipe.find_class("Giant Panda") == 388
    small = {"num_inference_steps": 1, "height": 32, "width": 48, "seed": 0}
    by_number, by_name = (class_pipe(class_label=c, **small)[0].numpy() for c in (0, "tench"))
    assert np.array_equal(by_number, by_name)
    assert class_pipe.cost(class_label="tench").macs_denoise > 0
    for wrong, words in [
        ({"class_label": "golden retreiver"}, "golden retriever"),
        ({"class_label": "crane"}, "134 and 517"),
        ({"class_label": 1000}, "1000"),
        ({"prompt": "a cat", "class_label": 1}, "prompt"),
        ({}, "class"),
    ]:
        with pytest.raises(sparsedit.InvalidArgumentError, match=words):
            class_pipe(**wrong)
    latents = np.zeros((1, 4, 4, 6))
    for wrong in (
        {},
        {"class_labels": [1001]},
        {"class_labels": [-1]},
        {"class_labels": [1, 2]},
        {"class_labels": [1], "embedding": np.zeros((1, 4, 0))},
    ):
        with pytest.raises(sparsedit.InvalidArgumentError):
            class_pipe.denoise(latents, 1, **wrong)
    with pytest.raises(sparsedit.InvalidArgumentError, match="class"):
        class_pipe.tokenize("a", max_length=3)
    with pytest.raises(sparsedit.InvalidArgumentError, match="class"):
        class_pipe.encode_prompt([[1]], [[1]])


def test_a_batch_keeps_its_variances_apart(pipe):
    shape = (2, 4, 3, 5)
    generator = np.random.default_rng(0)
    sample, prediction, variance = (generator.normal(size=shape).astype("f4") for _ in range(3))
    together = pipe.sampler(3, "ddpm").step(np.concatenate([prediction, variance], 1), sample)
    changed = variance.copy()
    changed[1] += 1
    other = pipe.sampler(3, "ddpm").step(np.concatenate([prediction, changed], 1), sample)
    assert np.array_equal(together[0], other[0]) and not np.array_equal(together[1], other[1])


def test_samplers_refuse_what_does_not_fit(pipe):
    loop = pipe.sampler(2, "ddpm")
    assert loop.name == "DDPM"
    with pytest.raises(sparsedit.InvalidArgumentError, match="model_output"):
        loop.step(np.zeros((1, 4, 2, 2)), np.zeros((1, 4, 2, 2)))
    loop.step(np.zeros((1, 8, 2, 2)), np.zeros((1, 4, 2, 2)))
    with pytest.raises(sparsedit.InvalidArgumentError, match="24 elements"):
        loop.step(np.zeros((1, 8, 3, 2)), np.zeros((1, 4, 3, 2)))
    for wrong in ({"sampler": "lms"}, {"sampler": "ddim", "eta": 2}, {"eta": 1}, {"seed": -1}, {"drawn": -1}):
        with pytest.raises(sparsedit.InvalidArgumentError):
            pipe.sampler(2, **wrong)


def test_rates_tables_and_functions_keep_the_same_tokens(sparse_pipe):
    asked = []

    def quarters(timestep, grid):
        asked.append((timestep, grid))
        return 0.3 + timestep // 250 / 3 * 0.6

    def draw(**options):
        tokens = []
        image = sparse_pipe(
            "a boat", seed=1, num_inference_steps=5, height=256, width=192,
            on_step=lambda step: tokens.append(step.tokens), **options,
        )[0]
        return tokens, image.jpeg()[-2000:]  # the settings are at the front

    by_rates = draw(rates=(0.3, 0.9), token_schedule="quarters")
    table = {250 * quarter: 0.3 + quarter / 3 * 0.6 for quarter in range(4)}
    assert draw(token_table=table) == by_rates
    assert draw(token_table=quarters) == by_rates
    assert [grid for _, grid in asked] == [(8, 6)] * 5
    assert sorted(asked, reverse=True) == asked
    assert draw(rates=(0.3, 0.9), token_schedule="linear") != by_rates
    assert draw(token_table={0: (5, 3), 500: (2, 1)})[0] == [2, 2, 2, 15, 15]
    cost = {"height": 256, "width": 192, "num_inference_steps": 5}
    asked.clear()
    sparse = sparse_pipe.cost(token_table=quarters, **cost)
    assert len(asked) == 2 * 5
    assert sparse == sparse_pipe.cost(rates=(0.3, 0.9), token_schedule="quarters", **cost)
    assert sparse.macs_denoise < sparse_pipe.cost(rates="dense", **cost).macs_denoise


def test_a_single_forward_takes_tables_too(sparse_pipe):
    ids, mask = sparse_pipe.tokenize("a boat", max_length=6)
    text = sparse_pipe.encode_prompt(ids, mask)
    latents = sparse_pipe.noise(1, 256, 192)

    def denoise(**options):
        return sparse_pipe.denoise(latents, 600, text, mask, **options)

    wanted = denoise(token_table={0: (4, 3), 700: 0.5})
    assert np.array_equal(denoise(rates=(0.75, 0.75)), wanted)  # half of each side
    assert np.array_equal(denoise(token_table=lambda t, grid: (grid[0] // 2, grid[1] // 2)), wanted)
    assert not np.array_equal(denoise(rates=(0.75, 0.9), token_schedule="constant"), wanted)


def test_what_a_table_function_raises_ends_the_call(sparse_pipe):
    def fail(timestep, grid):
        raise ZeroDivisionError("of the caller's own")

    with pytest.raises(ZeroDivisionError):
        sparse_pipe(token_table=fail)
    with pytest.raises(ZeroDivisionError):
        sparse_pipe.cost(token_table=fail)
    with pytest.raises(sparsedit.InvalidArgumentError, match="larger than the picture"):
        sparse_pipe(token_table=lambda timestep, grid: (grid[0] + 1, grid[1]))
    with pytest.raises(sparsedit.BusyError):
        sparse_pipe(token_table=lambda timestep, grid: len(sparse_pipe("x")))


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
    for quality in (0, 101, 1.5, "best", float("nan"), None):
        with pytest.raises(sparsedit.InvalidArgumentError, match="quality"):
            image.jpeg(quality=quality)
        with pytest.raises(sparsedit.InvalidArgumentError, match="quality"):
            image.save(tmp_path / "b.jpg", quality=quality)
    for name in ("b.png", "b.WebP", b"b.tiff"):
        with pytest.raises(sparsedit.InvalidArgumentError, match="JPEG"):
            image.save(name)
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
    assert len(one.steps) == 2 and len(two.steps) == 4
    assert sum(step.macs for step in two.steps) == pytest.approx(two.denoise.macs, rel=1e-9)
    assert one.text_encoder == two.text_encoder and one.text_encoder.macs > one.text_keys_values.macs > 0
    assert one.decode.activation_bytes > 128 * 128 * 3
