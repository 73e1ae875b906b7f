"""The preview sampler against diffusers' DPMSolverMultistepScheduler, and the loss weights."""

import pytest
import torch
from sparsedit_training.diffusion import Noise, sample
from sparsedit_training.export import SCHEDULER


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
@pytest.mark.parametrize("steps", [1, 2, 7, 20])
def test_sampler_equals_diffusers(prediction, steps):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DPMSolverMultistepScheduler.from_config(SCHEDULER | {"prediction_type": prediction})
    model = lambda z, t: torch.tanh(z * 0.8 + t / 1000)
    noise = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(1))
    z = noise
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        z = scheduler.step(model(z, int(t)), t, z).prev_sample
    ours = sample(model, noise, steps, prediction)
    assert ((ours - z).norm() / z.norm()).item() < 1e-5


def test_targets_and_weights():
    noise, t = Noise.linear(), torch.tensor([0, 500, 999])
    x, e = torch.randn(3, 4, 2, 2), torch.randn(3, 4, 2, 2)
    z, v = noise.add(x, e, t), noise.target(x, e, t, "v_prediction")
    alpha, sigma = noise.at(t)
    assert torch.allclose(alpha * z - sigma * v, x, atol=1e-5)
    weights = noise.weight(t, "v_prediction")
    assert weights[0] < 1e-3 and weights[2] == pytest.approx(1.0)
