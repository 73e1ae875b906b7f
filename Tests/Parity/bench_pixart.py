"""One guided PixArt-XL/2 forward in bf16: this engine beside diffusers, in the same run.

Makes a folder with a random transformer of PixArt-XL/2's dimensions (1.2 GB, kept for the next
run), measures both in turns and prints the medians and their ratio (above 1: we are faster).

    python Tests/Parity/bench_pixart.py --bench .build/release/sparsedit-bench --folder /tmp/xl
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import time

import torch
from diffusers import PixArtTransformer2DModel

TEXT_TOKENS = 120


def make_folder(folder: pathlib.Path, sample_size: int) -> None:
    """Writes `transformer/` with random bf16 weights unless it is there."""
    if (folder / "transformer" / "config.json").exists():
        return
    torch.manual_seed(0)
    model = PixArtTransformer2DModel(
        num_attention_heads=16,
        attention_head_dim=72,
        in_channels=4,
        out_channels=8,
        num_layers=28,
        cross_attention_dim=1152,
        sample_size=sample_size,
        patch_size=2,
        caption_channels=4096,
        use_additional_conditions=False,
    )
    model.to(torch.bfloat16).save_pretrained(folder / "transformer")


def diffusers_seconds(folder: pathlib.Path, size: int, runs: int) -> float:
    """Median seconds of a batch-2 forward after one that warms up."""
    model = PixArtTransformer2DModel.from_pretrained(
        folder / "transformer", torch_dtype=torch.bfloat16
    ).eval()
    latents = torch.randn(2, 4, size // 8, size // 8, dtype=torch.bfloat16)
    text = torch.randn(2, TEXT_TOKENS, 4096, dtype=torch.bfloat16)
    mask = torch.ones(2, TEXT_TOKENS)
    conditions = {"resolution": None, "aspect_ratio": None}
    seconds = []
    with torch.inference_mode():
        for _ in range(runs + 1):
            start = time.perf_counter()
            model(
                latents,
                encoder_hidden_states=text,
                encoder_attention_mask=mask,
                timestep=torch.tensor([500, 500]),
                added_cond_kwargs=conditions,
            )
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def engine_seconds(bench: str, folder: pathlib.Path, options: argparse.Namespace) -> dict:
    """Seconds by name ("dense", "sparse")."""
    command = [bench, "pixart", str(folder), "--json", "--precision", options.precision]
    command += ["--size", str(options.size), "--threads", str(options.threads)]
    command += ["--runs", str(options.runs), "--text", str(TEXT_TOKENS)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {entry["name"]: entry["seconds"] for entry in map(json.loads, lines)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", required=True, help="the sparsedit-bench program")
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="bf16")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    make_folder(options.folder, options.size // 8)
    ours = engine_seconds(options.bench, options.folder, options)
    theirs = diffusers_seconds(options.folder, options.size, options.runs)
    print(f"diffusers bf16: {theirs:.3f} s")
    for name, seconds in ours.items():
        print(f"{name} {options.precision}: {seconds:.3f} s, ratio {theirs / seconds:.2f}")


if __name__ == "__main__":
    main()
