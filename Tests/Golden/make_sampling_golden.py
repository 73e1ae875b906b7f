"""Golden values for Sources/SparseDiT/Sampling: torch's CPU noise and diffusers' DPM-Solver.

    python Tests/Golden/make_sampling_golden.py        # writes Tests/Golden/sampling/*.json

Needs torch (an x86 CPU with AVX2, on which torch's noise is the same on every machine), diffusers and
numpy; the versions that were used stand in the files. Floats are the hex of their f32 bits.

Two kinds of check for the solver. `runs` are whole runs on random predictions: timesteps, sigmas and
the sample after every step as diffusers computes them in f32, and the last sample of the same class with
every tensor in f64. `error_of_f32` is how far diffusers' f32 is off its own f64, relative L2, worst step:
up to 1.3e-6, because the f32 coefficients are differences of logarithms. A faithful f32 implementation is
therefore held to 1e-6 of the f32 samples, and to the larger of 1e-6 and 1.5 times that error of the f64 ones.
`plans` are timesteps and sigmas only, for many step counts.
"""

import hashlib
import json
import pathlib
import warnings

import diffusers
import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler

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


def main():
    OUT.mkdir(exist_ok=True)
    made_with = {"torch": torch.__version__, "diffusers": diffusers.__version__, "numpy": np.__version__}
    for name, content in [("noise", noise()), ("solver", {"runs": runs(), "plans": plans()})]:
        text = json.dumps({"made_with": made_with, **content}, indent=0)
        (OUT / f"{name}.json").write_text(text + "\n")
    print(max((r["error_of_f32"], r["name"]) for r in runs()))


if __name__ == "__main__":
    main()
