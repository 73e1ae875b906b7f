"""Golden values for Sources/SparseDiT/Sampling: torch's CPU noise and diffusers' schedulers.

    python Tests/Golden/make_sampling_golden.py        # writes Tests/Golden/sampling/*.json

Needs torch (an x86 CPU with AVX2, on which torch's noise is the same on every machine), diffusers and
numpy; the versions that were used stand in the files. Floats are the hex of their f32 bits.

Two kinds of check for the solver. `runs` are whole runs on random predictions: timesteps, sigmas and
the sample after every step as diffusers computes them in f32, and the last sample of the same class with
every tensor in f64. `error_of_f32` is how far diffusers' f32 is off its own f64, relative L2, worst step:
up to 1.3e-6, because the f32 coefficients are differences of logarithms. A faithful f32 implementation is
therefore held to 1e-6 of the f32 samples, and to the larger of 1e-6 and 1.5 times that error of the f64 ones.
`plans` are timesteps and sigmas only, for many step counts.

`samplers.json` holds the same for DDPM, DDIM and Euler. There the initial noise and the noise of the steps come
from one torch generator, one after the other, as in diffusers' pipelines; `inputs` is what Euler's
`scale_model_input` makes of each sample. The run in f64 uses the same f32 noise.

`pipelines.json` are whole runs of the pipeline in `pixart-alpha` with another scheduler, to pixels.
"""

import hashlib
import json
import pathlib
import warnings

import diffusers
import numpy as np
import pixart_reference as pixart
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    PixArtAlphaPipeline,
)
from diffusers.schedulers import scheduling_ddim, scheduling_ddpm

warnings.filterwarnings("ignore")
OUT = pathlib.Path(__file__).parent / "sampling"

SEEDS = [0, 1, 42, 123456789, 2**31 - 1, 2**32 - 1, 2**32, 2**32 + 7, 2**63 - 1, 2**63, 2**64 - 1]
SIZES = [1, 2, 5, 15, 16, 17, 31, 32, 33, 100, 4 * 16 * 12, 2 * 4 * 32 * 32]

PIXART = {
    "num_train_timesteps": 1000, "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear",
    "algorithm_type": "dpmsolver++", "solver_order": 2, "solver_type": "midpoint",
    "prediction_type": "epsilon", "timestep_spacing": "linspace", "lower_order_final": True,
}

# Settings beside PixArt's, and step counts.
RUNS = {
    "pixart": ({}, [1, 2, 3, 5, 14, 15, 20, 50]),
    "order-1": ({"solver_order": 1}, [1, 7, 20]),
    "order-3": ({"solver_order": 3}, [1, 2, 3, 4, 9, 16, 25]),
    "order-3-final": ({"solver_order": 3, "final_sigmas_type": "sigma_min"}, [4, 16]),
    "heun": ({"solver_type": "heun"}, [2, 8, 20]),
    "velocity": ({"prediction_type": "v_prediction", "beta_schedule": "scaled_linear",
                  "beta_start": 0.00085, "beta_end": 0.012}, [6, 20]),
    "sample": ({"prediction_type": "sample"}, [6, 20]),
    "euler-final": ({"euler_at_final": True, "final_sigmas_type": "sigma_min"}, [4, 20]),
    "no-lower-order": ({"lower_order_final": False, "final_sigmas_type": "sigma_min"}, [4, 20]),
    "leading": ({"timestep_spacing": "leading", "steps_offset": 1}, [5, 20]),
    "trailing": ({"timestep_spacing": "trailing"}, [7, 20]),
    "cosine": ({"beta_schedule": "squaredcos_cap_v2", "lambda_min_clipped": -5.1}, [5, 20]),
    "karras": ({"use_karras_sigmas": True}, [5, 20]),
    "zero-snr": ({"rescale_betas_zero_snr": True, "timestep_spacing": "trailing",
                  "prediction_type": "v_prediction"}, [5, 20]),
    "trained-betas": ({"num_train_timesteps": 50,
                       "trained_betas": [round(0.002 + 0.0007 * i, 6) for i in range(50)]}, [5, 12]),
    "noise": ({"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"}, [5, 20]),
    "noise-heun": ({"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min",
                    "solver_type": "heun"}, [5, 20]),
    "noise-order-3": ({"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min",
                       "solver_order": 3}, [5, 20]),
    "noise-velocity": ({"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min",
                        "prediction_type": "v_prediction"}, [5]),
    "noise-sample": ({"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min",
                      "prediction_type": "sample"}, [5]),
}
PLANS = {
    "linspace": ({}, [1, 2, 3, 4, 6, 7, 9, 11, 13, 17, 19, 25, 30, 33, 49, 64, 77, 100, 250, 500, 999]),
    "leading": ({"timestep_spacing": "leading"}, [1, 3, 7, 20, 33, 100, 499, 999]),
    "trailing": ({"timestep_spacing": "trailing"}, [1, 3, 6, 7, 9, 11, 13, 20, 33, 49, 77, 100, 999, 1000]),
    "karras": ({"use_karras_sigmas": True}, [1, 2, 7, 20, 50]),
    "karras-cosine": ({"use_karras_sigmas": True, "beta_schedule": "squaredcos_cap_v2"}, [7, 20]),
    "clipped": ({"lambda_min_clipped": -3.0}, [5, 20]),
    "clipped-trailing": ({"lambda_min_clipped": -3.0, "timestep_spacing": "trailing"}, [5, 20]),
}
COUNT = 12  # elements of a run's sample

SAMPLERS = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler, "euler": EulerDiscreteScheduler}
LATENTS = (1, 2, 10)  # of a run; its 20 elements take torch's vectorised path to noise
ZERO_SNR = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}
STABLE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}
UNCLIPPED = {"clip_sample": False}

# Class, settings, eta, step counts, latents.
SAMPLER_RUNS = {
    "ddpm-learned": ("ddpm", {**UNCLIPPED, "variance_type": "learned_range"}, 0, [1, 5, 25], LATENTS),
    "ddpm-dit": ("ddpm", {**UNCLIPPED, "variance_type": "learned_range"}, 0, [250], (1, 1, 3)),
    "ddpm-learned-trailing": ("ddpm", {**UNCLIPPED, "variance_type": "learned_range",
                                       "timestep_spacing": "trailing"}, 0, [7], LATENTS),
    "ddpm-clipped": ("ddpm", {}, 0, [5, 20], LATENTS),
    "ddpm-small-log": ("ddpm", {**UNCLIPPED, "variance_type": "fixed_small_log",
                                "timestep_spacing": "linspace"}, 0, [1, 6], LATENTS),
    "ddpm-large": ("ddpm", {**UNCLIPPED, **STABLE, "variance_type": "fixed_large"}, 0, [6], LATENTS),
    "ddpm-sample": ("ddpm", {"prediction_type": "sample", "clip_sample_range": 0.5}, 0, [6], LATENTS),
    "ddpm-zero-snr": ("ddpm", {**UNCLIPPED, **ZERO_SNR}, 0, [5], LATENTS),
    "ddpm-cosine": ("ddpm", {"beta_schedule": "squaredcos_cap_v2"}, 0, [10], LATENTS),
    "ddim": ("ddim", UNCLIPPED, 0, [1, 5, 20, 30], LATENTS),
    "ddim-eta": ("ddim", UNCLIPPED, 0.3, [5, 20], LATENTS),
    "ddim-eta-one": ("ddim", {"timestep_spacing": "trailing", **UNCLIPPED}, 1.0, [6], LATENTS),
    "ddim-few": ("ddim", UNCLIPPED, 0.5, [4], (1, 1, 3)),
    "ddim-clipped": ("ddim", {"clip_sample_range": 1.5}, 0.5, [6], LATENTS),
    "ddim-stable": ("ddim", {**UNCLIPPED, **STABLE, "set_alpha_to_one": False}, 0, [7, 20], LATENTS),
    "ddim-linspace": ("ddim", {"timestep_spacing": "linspace", **UNCLIPPED}, 0, [6], LATENTS),
    "ddim-sample": ("ddim", {"prediction_type": "sample"}, 0.2, [6], LATENTS),
    "ddim-zero-snr": ("ddim", {**UNCLIPPED, **ZERO_SNR}, 0, [5], LATENTS),
    "euler": ("euler", {}, 0, [2, 5, 20], LATENTS),
    "euler-stable": ("euler", {**STABLE, "timestep_spacing": "leading"}, 0, [7, 20], LATENTS),
    "euler-trailing": ("euler", {"timestep_spacing": "trailing"}, 0, [7], LATENTS),
    "euler-velocity": ("euler", {"prediction_type": "v_prediction"}, 0, [6], LATENTS),
    "euler-sample": ("euler", {"prediction_type": "sample", "final_sigmas_type": "sigma_min"}, 0, [6], LATENTS),
    "euler-karras": ("euler", {"use_karras_sigmas": True}, 0, [2, 6, 20], LATENTS),
    "euler-zero-snr": ("euler", ZERO_SNR, 0, [5], LATENTS),
}
SAMPLER_PLANS = {
    "ddpm-leading": ("ddpm", {}, [1, 3, 7, 33, 250, 999, 1000]),
    "ddpm-trailing": ("ddpm", {"timestep_spacing": "trailing"}, [1, 3, 6, 7, 9, 33, 77, 100, 250, 999]),
    "ddim-linspace": ("ddim", {"timestep_spacing": "linspace"}, [1, 2, 3, 4, 6, 7, 11, 33, 77, 250, 1000]),
    "euler-linspace": ("euler", {}, [1, 2, 3, 7, 11, 33, 77, 250, 999]),
    "euler-leading": ("euler", {"timestep_spacing": "leading", "steps_offset": 1}, [1, 3, 7, 33, 250]),
    "euler-trailing": ("euler", {"timestep_spacing": "trailing"}, [1, 3, 7, 9, 33, 77]),
    "euler-karras": ("euler", {"use_karras_sigmas": True, "timestep_spacing": "trailing"}, [2, 7, 33]),
}


def bits(values):
    return np.ascontiguousarray(values, dtype="<f4").tobytes().hex()


def noise():
    rows = []
    for seed in SEEDS:
        for size in SIZES:
            values = torch.randn(size, generator=torch.Generator("cpu").manual_seed(seed)).numpy()
            row = {"seed": str(seed), "size": size}
            if size <= 33:
                row["values"] = bits(values)
            else:
                row["sha256"] = hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()
                row["first"] = bits(values[:16])
            rows.append(row)
    # Draws one after another: the scalar path keeps the second value of a pair for later.
    sequences = []
    for seed, sizes in [(3, [1, 1, 1, 20, 1, 5, 16, 2]), (2**64 - 5, [3, 17, 2, 2])]:
        generator = torch.Generator("cpu").manual_seed(seed)
        parts = [bits(torch.randn(size, generator=generator).numpy()) for size in sizes]
        sequences.append({"seed": str(seed), "sizes": sizes, "values": parts})
    long = torch.randn(1 << 17, generator=torch.Generator("cpu").manual_seed(2024)).numpy()
    return {
        "draws": rows, "sequences": sequences,
        "long": {"seed": "2024", "size": 1 << 17, "sha256": hashlib.sha256(long.tobytes()).hexdigest()},
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def scheduler(settings, steps):
    made = DPMSolverMultistepScheduler(**{**PIXART, **settings})
    made.set_timesteps(steps)
    made.set_begin_index(0)
    return made


def follow(settings, steps, outputs, start, dtype):
    solver = scheduler(settings, steps)
    solver.sigmas = solver.sigmas.to(dtype)
    sample, samples = start.to(dtype), []
    if dtype is torch.float64:
        # The class casts the sample to f32 before the update; f64 in, f64 through.
        patched = torch.Tensor.to
    for timestep, output in zip(solver.timesteps, outputs):
        if dtype is torch.float64:
            torch.Tensor.to = lambda self, *a, **k: self if a == (torch.float32,) else patched(self, *a, **k)
        try:
            sample = solver.step(output.to(torch.float64) if dtype is torch.float64 else output,
                                 timestep, sample, return_dict=False)[0]
        finally:
            if dtype is torch.float64:
                torch.Tensor.to = patched
        samples.append(sample.numpy())
    return solver, samples


def runs():
    result = []
    for name, (settings, counts) in RUNS.items():
        for steps in counts:
            generator = torch.Generator("cpu").manual_seed(len(result) + 1000)
            start = torch.randn(COUNT, generator=generator)
            outputs = [torch.randn(COUNT, generator=generator) for _ in range(steps)]
            solver, single = follow(settings, steps, outputs, start, torch.float32)
            _, double = follow(settings, steps, outputs, start, torch.float64)
            error = max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(single, double))
            result.append({
                "name": f"{name}-{steps}", "config": {**PIXART, **settings}, "steps": steps,
                "timesteps": solver.timesteps.tolist(), "sigmas": bits(solver.sigmas.numpy()),
                "start": bits(start.numpy()), "outputs": [bits(o.numpy()) for o in outputs],
                "samples": [bits(s) for s in single], "last_in_f64": double[-1].tolist(),
                "error_of_f32": error,
            })
    return result


def plans():
    result = []
    for name, (settings, counts) in PLANS.items():
        for steps in counts:
            made = scheduler(settings, steps)
            result.append({"name": f"{name}-{steps}", "config": {**PIXART, **settings}, "steps": steps,
                           "timesteps": made.timesteps.tolist(),
                           "sigmas": bits(made.sigmas.numpy())})
    return result


def sampler(kind, settings, steps):
    made = SAMPLERS[kind](**settings)
    made.set_timesteps(steps)
    return made


def single_noise(shape, generator=None, device=None, dtype=None, layout=None):
    """diffusers' randn_tensor, but the same noise whatever the dtype."""
    return torch.randn(shape, generator=generator).to(dtype)


def follow_sampler(made, eta, outputs, start, generator, dtype):
    patched = torch.Tensor.to
    if dtype is torch.float64:
        for name in ("alphas_cumprod", "one", "final_alpha_cumprod", "sigmas"):
            if hasattr(made, name):
                setattr(made, name, getattr(made, name).to(dtype))
        # As above: Euler casts the sample to f32 before the update.
        torch.Tensor.to = lambda self, *a, **k: self if a == (torch.float32,) else patched(self, *a, **k)
    extra = {"eta": eta} if isinstance(made, DDIMScheduler) else {}
    sample, inputs, samples = patched(start, dtype), [], []
    try:
        for timestep, output in zip(made.timesteps, outputs):
            inputs.append(made.scale_model_input(sample, timestep).numpy())
            sample = made.step(patched(output, dtype), timestep, sample, generator=generator,
                               return_dict=False, **extra)[0]
            samples.append(sample.numpy())
    finally:
        torch.Tensor.to = patched
    return inputs, samples


def sampler_runs():
    scheduling_ddpm.randn_tensor = scheduling_ddim.randn_tensor = single_noise
    result = []
    for name, (kind, settings, eta, counts, shape) in SAMPLER_RUNS.items():
        for steps in counts:
            seed = 2000 + len(result)
            drawn = torch.Generator("cpu").manual_seed(seed + 5000)
            doubled = settings.get("variance_type") == "learned_range"
            output_shape = (shape[0], shape[1] * (2 if doubled else 1), *shape[2:])
            outputs = [torch.randn(output_shape, generator=drawn) for _ in range(steps)]
            runs = []
            for dtype in (torch.float32, torch.float64):
                made = sampler(kind, settings, steps)
                generator = torch.Generator("cpu").manual_seed(seed)
                start = torch.randn(shape, generator=generator) * made.init_noise_sigma
                runs.append(follow_sampler(made, eta, outputs, start, generator, dtype))
            (inputs, single), (_, double) = runs
            error = max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(single, double))
            result.append({
                "name": f"{name}-{steps}", "config": {"_class_name": SAMPLERS[kind].__name__, **settings},
                "eta": eta, "steps": steps, "seed": seed, "initial_noise_scale": float(made.init_noise_sigma),
                "timesteps": made.timesteps.tolist(), "start": bits(start.numpy()),
                "inputs": [bits(i) for i in inputs] if kind == "euler" else None,
                "outputs": [bits(o.numpy()) for o in outputs], "samples": [bits(s) for s in single],
                "last_in_f64": double[-1].flatten().tolist(), "error_of_f32": error,
            })
    return result


def sampler_plans():
    result = []
    for name, (kind, settings, counts) in SAMPLER_PLANS.items():
        for steps in counts:
            made = sampler(kind, settings, steps)
            result.append({
                "name": f"{name}-{steps}", "config": {"_class_name": SAMPLERS[kind].__name__, **settings},
                "steps": steps, "initial_noise_scale": float(made.init_noise_sigma),
                "timesteps": made.timesteps.tolist(),
                "sigmas": bits(made.sigmas.numpy()) if kind == "euler" else None,
            })
    return result


# Sampler, settings beside those of the folder, eta.
PIPELINE_RUNS = [
    ("ddpm", {"variance_type": "fixed_small", **UNCLIPPED}, 0),
    ("ddim", UNCLIPPED, 0),
    ("ddim", UNCLIPPED, 0.7),
    ("euler", {}, 0),
]


def pipeline_runs():
    pipeline = PixArtAlphaPipeline.from_pretrained(str(OUT.parent / "pixart-alpha"))
    pipeline.set_progress_bar_config(disable=True)
    shared = {key: value for key, value in PIXART.items() if not key.startswith(("algorithm", "solver", "lower"))}
    run = pixart.Run("a red cube", width=32, height=48, steps=5, seed=11, count=2)
    result = []
    for kind, settings, eta in PIPELINE_RUNS:
        pipeline.scheduler = SAMPLERS[kind](**shared, **settings)
        with torch.no_grad():
            latents = pixart.generate(pipeline, run, eta=eta)
            image = pixart.pixels(pipeline, pixart.decode(pipeline, latents))
        print(kind, eta, "pixels", image.mean(), image.std())
        result.append({
            "sampler": kind, "eta": eta, "prompt": run.prompt, "width": run.width, "height": run.height,
            "steps": run.steps, "seed": run.seed, "count": run.count,
            "config": {"_class_name": SAMPLERS[kind].__name__, **shared, **settings},
            "pixels": image.tobytes().hex(),
        })
    return {"runs": result}


def main():
    OUT.mkdir(exist_ok=True)
    made_with = {"torch": torch.__version__, "diffusers": diffusers.__version__, "numpy": np.__version__}
    files = {
        "noise": noise(), "solver": {"runs": runs(), "plans": plans()},
        "samplers": {"runs": sampler_runs(), "plans": sampler_plans()},
        "pipelines": pipeline_runs(),
    }
    for name, content in files.items():
        text = json.dumps({"made_with": made_with, **content}, indent=0)
        (OUT / f"{name}.json").write_text(text + "\n")
    for part in ("solver", "samplers"):
        print(max((run["error_of_f32"], run["name"]) for run in files[part]["runs"]))


if __name__ == "__main__":
    main()
