"""Writes the golden values of the sparse backbone: small random models with inputs and outputs.

    python Tests/Golden/make_sparse_golden.py

needs the `training` extra of bindings/python. Each case is a folder `sparse-<name>`:

    config.json                           transformer configuration, with "sparsity"
    diffusion_pytorch_model.safetensors   random f32 weights, none of them zero
    golden.safetensors                    latents [B,C,h,w], text [B,L,Ct], mask [B,L] (f32, 1 = token), with
                                          additional conditions also resolution [B,2] and aspect_ratio [B,1];
                                          for each timestep T "output.t<T>" [B,C_out,h,w], the rate taken from the
                                          schedule at T; for each explicit rate R percent "output.t<T>.r<R>".

The reference is sparsedit_training.model, which is written from the paper; all arithmetic is f32 on the CPU.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "bindings/python"))
from sparsedit_training.model import SparseDiT  # noqa: E402

SMALL = dict(poolingformer=1, modules=1, module_layout=[1, 1, 1, 1], top=1, rates=[0.4, 0.86])
TWO = dict(poolingformer=2, modules=2, module_layout=[1, 1, 1, 1], top=1, rates=[0.61, 0.86])
LONG = dict(poolingformer=1, modules=1, module_layout=[1, 2, 1, 2], top=1, rates=[0.61, 0.86])

# name: (heads, head width, configuration, latents height and width, batch, [(timestep, rate or None)])
CASES = {
    "square-linear": (2, 12, dict(num_layers=11, sparsity=TWO | dict(schedule="linear")), (16, 16), 1,
                      [(999, None), (625, None), (100, None), (500, 0.0), (500, 0.98)]),
    "odd-quarters": (3, 8, dict(num_layers=8, sparsity=LONG | dict(schedule="quarters")), (12, 10), 2,
                     [(999, None), (749, None), (500, None), (3, None)]),
    "constant-positions": (2, 8, dict(num_layers=6, interpolation_scale=2, sparsity=SMALL | dict(
        schedule="constant", position_embedding_again=True)), (10, 14), 1, [(950, None), (20, None), (20, 0.4)]),
    "masks": (1, 16, dict(num_layers=6, out_channels=4, patch_size=4, sample_size=32, sparsity=SMALL | dict(
        schedule="linear")), (32, 24), 2, [(871, None), (1, None)]),
    "conditions": (3, 8, dict(num_layers=6, use_additional_conditions=True, sparsity=SMALL | dict(
        schedule="quarters")), (12, 16), 2, [(901, None), (130, None)]),
}


def random_model(config, generator):
    """Weights of a scale that keeps activations near 1 and every path visible in the output."""
    model = SparseDiT(config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            scale = 0.3 if p.ndim == 1 or name.endswith("scale_shift_table") else 1.2 * p[0].numel() ** -0.5
            p.copy_(torch.randn(p.shape, generator=generator) * scale)
    return model.eval()


def inputs(config, size, batch, generator):
    length = 9
    mask = torch.ones(batch, length)
    for row in range(batch):
        mask[row, length - 2 - 3 * row:] = 0  # each row a different caption length
    values = dict(latents=torch.randn(batch, 4, *size, generator=generator),
                  text=torch.randn(batch, length, config["caption_channels"], generator=generator), mask=mask)
    if config["use_additional_conditions"]:
        values["resolution"] = torch.tensor([[96.0, 128.0], [100.0, 77.0]])[:batch]
        values["aspect_ratio"] = torch.tensor([[0.75], [1.3]])[:batch]
    return values


@torch.no_grad()
def write_case(index, name):
    heads, head_width, more, size, batch, points = CASES[name]
    config = dict(num_attention_heads=heads, attention_head_dim=head_width, in_channels=4, out_channels=8,
                  cross_attention_dim=heads * head_width, sample_size=16, patch_size=2, caption_channels=20,
                  use_additional_conditions=False) | more
    generator = torch.Generator().manual_seed(100 + index)
    model = random_model(config, generator)
    golden = inputs(config, size, batch, generator)
    outputs = {}
    for timestep, rate in points:
        key = f"output.t{timestep}" + ("" if rate is None else f".r{round(100 * rate)}")
        conditions = {k: v for k, v in golden.items() if k not in ("latents", "text", "mask")}
        outputs[key] = model(golden["latents"], timestep, golden["text"], golden["mask"], rate=rate, **conditions)
    folder = HERE / f"sparse-{name}"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(model.config.to_dict(), indent=2) + "\n")
    save_file(model.state_dict(), folder / "diffusion_pytorch_model.safetensors")
    save_file({k: v.contiguous() for k, v in (golden | outputs).items()}, folder / "golden.safetensors")
    print(name, [(t, model.grid_at((size[0] // model.config.patch_size, size[1] // model.config.patch_size), t, r))
                 for t, r in points], {k: round(v.std().item(), 2) for k, v in outputs.items()})


if __name__ == "__main__":
    torch.set_num_threads(1)
    for index, name in enumerate(CASES):
        write_case(index, name)
