"""Compares the engine with diffusers and transformers on fresh random PixArt and DiT pipelines.

    make parity                                   new models each time
    make parity PARITY_FLAGS="--seed 7 --cases 3"   the same again

Each case is a small pipeline with random shape and weights, saved as a diffusers folder, run by
both sides, and compared stage by stage: token ids, text embedding, one forward of the backbone,
decoding, and whole pictures. Then its backbone is made sparse and compared with the PyTorch
reference of SparseDiT. Last comes a pipeline that draws classes: forwards and whole pictures. The
engine is reached through its Python package, hence through the C
interface. Exits with 1 when a tolerance is broken.
"""

from __future__ import annotations

import argparse
import math
import random
import secrets
import sys
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Tests" / "Golden"), str(ROOT / "bindings" / "python")]

import dit_reference  # noqa: E402
import sparsedit  # noqa: E402
from dit_case import random_dit  # noqa: E402
from pixart_reference import PROMPTS, Case, Run, build, stages, tokenize  # noqa: E402
from sparse_case import make_sparse, random_sparsity, sparse_stages  # noqa: E402

# Relative L2 error of embedding, forward and decode. f32 leaves room for another summation order
# over a few layers; bf16 has 8 bits of mantissa, hence about 4e-3 a rounding.
TOLERANCE = {"f32": 2e-5, "bf16": 2e-2}
# Of 255, in f32: an error far below one level may still cross a rounding boundary.
PICTURE_MEAN, PICTURE_MAX = 0.5, 3


def random_case(seed: int) -> Case:
    """A pipeline within what the format allows: widths divisible by 4 for the positions, by 3
    where size conditions split them."""
    draw = random.Random(seed)
    conditions = draw.random() < 0.3
    head_dim = draw.choice([12, 24, 36, 72] if conditions else [8, 12, 16, 20, 40, 64, 72])
    patch = draw.choice([2, 2, 4])
    sides = [patch * n for n in range(2, 8)]
    size = lambda: (draw.choice(sides), draw.choice(sides))  # noqa: E731
    groups = draw.choice([1, 2, 4])
    run = lambda: Run(  # noqa: E731
        prompt=random_prompt(draw),
        negative_prompt=draw.choice(["", "", "blurry, DARK"]),
        width=8 * draw.choice(sides),
        height=8 * draw.choice(sides),
        steps=draw.choice([2, 3, 5, 8]),
        guidance_scale=draw.choice([1.0, 2.5, 4.5, 7.0]),
        seed=draw.choice([0, 1, draw.getrandbits(32), draw.getrandbits(63)]),
        count=draw.choice([1, 1, 2]),
    )
    return Case(
        name=str(seed),
        seed=seed,
        heads=draw.randint(1, 4),
        head_dim=head_dim,
        layers=draw.randint(1, 4),
        sample_size=128 if conditions else draw.choice([8, 16, 32, 64]),
        patch=patch,
        out_channels=draw.choice([4, 8, 8]),
        interpolation_scale=draw.choice([None, None, 0.5, 2.0]),
        text_width=draw.choice([16, 20, 48]),
        text_heads=draw.randint(1, 5),
        text_head_dim=draw.choice([4, 8, 12]),
        text_layers=draw.randint(1, 4),
        text_hidden=draw.choice([24, 40, 100]),
        normalization="nmt_nfkc",
        vae_channels=tuple(4 * groups * draw.randint(1, 3) for _ in range(4)),
        vae_groups=groups,
        vae_layers=draw.randint(1, 2),
        scaling_factor=draw.choice([0.18215, 0.13025]),
        prediction=draw.choice(["epsilon", "epsilon", "v_prediction"]),
        dtype=draw.choice(["f32", "f32", "f16", "bf16"]),
        shard_bytes=draw.choice([None, None, 100_000]),
        text_prompts=tuple(draw.sample(range(len(PROMPTS)), 3)),
        forwards=tuple(
            (draw.randint(1, 3), *size(), draw.choice([0.0, 1.0, 250.0, 999.0, 333.5]))
            for _ in range(3)
        ),
        decodes=tuple(
            (draw.randint(1, 2), *size()) for _ in range(2)
        ),
        runs=(run(), run()),
    )


def random_prompt(draw: random.Random) -> str:
    """Words of the test prompts in any order, sometimes with a letter of any script, but without what
    transformers and libsentencepiece read differently (docs/tokenizer.md)."""
    words = [word for prompt in PROMPTS for word in prompt.split()[:12]]
    text = draw.choice([" ", "  ", "\t", ", "]).join(draw.choices(words, k=draw.randint(0, 30)))
    letters = [chr(draw.randrange(0x20, 0xD7FF)) for _ in range(draw.choice([0, 0, 3]))]
    return "".join(c for c in text + "".join(letters) if is_read_alike(c))


def is_read_alike(character: str) -> bool:
    """Neither a combining mark, nor the word marker, nor what becomes a special token's bracket, nor
    a line break that the normalizer leaves."""
    is_mark = unicodedata.category(character).startswith("M")
    becomes_bracket = character != "<" and "<" in unicodedata.normalize("NFKC", character)
    return not (is_mark or becomes_bracket or character in "▁\x85")


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    if actual.shape != expected.shape:
        return math.inf
    difference = actual.astype(np.float64) - expected
    return float(np.linalg.norm(difference) / np.linalg.norm(expected.astype(np.float64)))


def compare(folder: Path, described: dict, tensors: dict, precision: str) -> dict[str, float]:
    """The worst figure of each stage."""
    worst = {"text": 0.0, "forward": 0.0, "decode": 0.0}
    with sparsedit.Pipeline(str(folder), precision=precision) as pipe:
        length = described["max_length"]
        captions = described["tokens"] + described["text"]
        ids, mask = pipe.tokenize([c["prompt"] for c in captions], max_length=length)
        worst["ids"] = sum(
            list(row[: row_mask.sum()]) != caption["ids"] or row[row_mask.sum():].any()
            for row, row_mask, caption in zip(ids, mask, captions)
        )

        rows = slice(len(described["tokens"]), None)
        ids, mask = ids[rows], mask[rows]
        embedding = tensors["text.embedding"]
        worst["text"] = relative_error(pipe.encode_prompt(ids, mask), embedding)
        for index, forward in enumerate(described["forward"]):
            chosen = forward["text_rows"]
            output = pipe.denoise(
                tensors[f"forward.{index}.latents"], forward["timestep"],
                embedding[chosen], mask[chosen],
            )
            error = relative_error(output, tensors[f"forward.{index}.output"])
            worst["forward"] = max(worst["forward"], error)
        for index in range(described["decode"]):
            image = pipe.decode(tensors[f"decode.{index}.latents"])
            error = relative_error(image, tensors[f"decode.{index}.image"])
            worst["decode"] = max(worst["decode"], error)
        if precision == "f32" and described["runs"]:
            compare_pictures(pipe, described, tensors, worst)
    return worst


def compare_classes(folder: Path, described: dict, tensors: dict, precision: str) -> dict[str, float]:
    """The same for a pipeline that draws classes: forwards and pictures, since the rest is the same code."""
    worst = {"ids": 0, "text": 0.0, "forward": 0.0, "decode": 0.0}
    with sparsedit.Pipeline(str(folder), precision=precision) as pipe:
        for index, forward in enumerate(described["forward"]):
            output = pipe.denoise(
                tensors[f"forward.{index}.latents"], forward["timestep"],
                class_labels=forward["labels"],
            )
            error = relative_error(output, tensors[f"forward.{index}.output"])
            worst["forward"] = max(worst["forward"], error)
        if precision == "f32":
            compare_pictures(pipe, described, tensors, worst)
    return worst


def compare_pictures(pipe, described: dict, tensors: dict, worst: dict[str, float]):
    worst["mean"] = worst["max"] = 0.0
    for index, run in enumerate(described["runs"]):
        subject = {key: run[key] for key in ("prompt", "negative_prompt", "sampler") if key in run}
        images = pipe(
            class_label=run.get("label"),
            **subject,
            width=run["width"],
            height=run["height"],
            num_inference_steps=run["steps"],
            clean_caption=run.get("as_by_default", False),
            exact_size=not run.get("as_by_default", False),
            guidance_scale=run["guidance_scale"],
            seed=run["seed"],
            num_images_per_prompt=run["count"],
        )
        actual = np.stack([image.numpy() for image in images]).astype(np.int16)
        difference = np.abs(actual - tensors[f"run.{index}.pixels"])
        worst["mean"] = max(worst["mean"], float(difference.mean()))
        worst["max"] = max(worst["max"], float(difference.max()))


def passed(worst: dict[str, float], precision: str) -> bool:
    stages_hold = all(worst[s] <= TOLERANCE[precision] for s in ("text", "forward", "decode"))
    pictures_hold = worst.get("mean", 0) <= PICTURE_MEAN and worst.get("max", 0) <= PICTURE_MAX
    return worst["ids"] == 0 and stages_hold and pictures_hold


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, help="of the first case; drawn and printed by default")
    parser.add_argument("--cases", type=int, default=8)
    arguments = parser.parse_args()
    first = secrets.randbelow(2**31) if arguments.seed is None else arguments.seed
    print(f"seed {first}, torch {torch.__version__}; tolerances: relative L2 {TOLERANCE}, "
          f"pictures mean {PICTURE_MEAN} and max {PICTURE_MAX} of 255")
    print(f"{'case':>12} {'kind':>6} {'width':>5} {'files':>5} {'engine':>6} {'ids':>4} "
          f"{'text':>8} {'forward':>8} {'decode':>8} {'mean':>6} {'max':>4}")
    failures = 0
    for seed in range(first, first + arguments.cases):
        for run_case in (run_dense, run_sparse, run_classes):
            with tempfile.TemporaryDirectory() as folder:
                failures += run_case(seed, Path(folder))
    print("all within tolerance" if failures == 0 else f"{failures} rows out of tolerance")
    return 1 if failures else 0


def run_dense(seed: int, folder: Path) -> int:
    """Compares one dense pipeline with diffusers; the number of rows out of tolerance."""
    case = random_case(seed)
    pipeline = build(case, folder)
    described, tensors = stages(case, pipeline)
    draw = random.Random(seed + 1)
    described["tokens"] += [
        tokenize(pipeline, random_prompt(draw), case.max_length) for _ in range(20)
    ]
    return check(case, "dense", folder, described, tensors)


def run_sparse(seed: int, folder: Path) -> int:
    """The same for a sparse backbone and its PyTorch reference."""
    case, sparsity = random_sparsity(random_case(seed), seed)
    described, tensors = stages(case, build(case, folder))
    model = make_sparse(folder, sparsity, seed)
    sparse_stages(model, described, tensors)
    return check(case, "sparse", folder, described, tensors)


def run_classes(seed: int, folder: Path) -> int:
    """The same for a class-conditional pipeline and diffusers."""
    case = random_dit(seed)
    described, tensors = dit_reference.stages(case, dit_reference.build(case, folder))
    return check(case, "dit", folder, described, tensors, compare_classes)


def check(case, kind: str, folder: Path, described: dict, tensors: dict, compare=compare) -> int:
    """Reports how one pipeline compares, in both precisions; the number out of tolerance."""
    failures = 0
    for precision in TOLERANCE:
        worst = compare(folder, described, tensors, precision)
        failures += not passed(worst, precision)
        report(case, kind, precision, worst)
    return failures


def report(case, kind: str, precision: str, worst: dict[str, float]):
    pictures = f"{worst['mean']:6.3f} {worst['max']:4.0f}" if "mean" in worst else f"{'':11}"
    verdict = "" if passed(worst, precision) else "  FAILED"
    print(f"{case.name:>12} {kind:>6} {case.heads * case.head_dim:>5} {case.dtype:>5} "
          f"{precision:>6} {worst['ids']:>4} {worst['text']:8.1e} {worst['forward']:8.1e} "
          f"{worst['decode']:8.1e} {pictures}{verdict}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
