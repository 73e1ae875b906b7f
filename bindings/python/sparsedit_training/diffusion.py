"""Noise: how it is added, what the backbone predicts, and how it is taken away again.

T = 1000 training timesteps with betas linear from 1e-4 to 0.02 (DDPM, as PixArt uses them):
z_t = α_t·x + σ_t·ε with α_t² + σ_t² = 1, and SNR = α_t²/σ_t².
"""

from dataclasses import dataclass

import torch

from .schedule import TIMESTEPS


@dataclass(frozen=True)
class Noise:
    """The noise schedule: `alpha` and `sigma`, each [1000] f32."""

    alpha: torch.Tensor
    sigma: torch.Tensor

    @classmethod
    def linear(cls, device="cpu") -> "Noise":
        betas = torch.linspace(1e-4, 0.02, TIMESTEPS, dtype=torch.float64)
        squared = torch.cumprod(1 - betas, dim=0)
        return cls(squared.sqrt().float().to(device), (1 - squared).sqrt().float().to(device))

    def at(self, timestep):
        """α and σ at timestep [B], shaped [B,1,1,1] to go with pictures."""
        return self.alpha[timestep][:, None, None, None], self.sigma[timestep][:, None, None, None]

    def add(self, x, noise, timestep):
        """z_t of clean latents x [B,C,h,w]."""
        alpha, sigma = self.at(timestep)
        return alpha * x + sigma * noise

    def target(self, x, noise, timestep, prediction: str):
        """What the backbone should say: "epsilon" the noise, "v_prediction" v = α·ε − σ·x."""
        if prediction == "epsilon":
            return noise
        alpha, sigma = self.at(timestep)
        return alpha * noise - sigma * x

    def weight(self, timestep, prediction: str, gamma: float = 5.0):
        """Loss weights [B]: min-SNR (Hang et al., arXiv 2303.09556), the weight min(SNR, γ) on the error of x
        written for the predicted quantity. For v (whose error is (SNR + 1) times that of x in the square) one is
        added to the numerator: without it the noisiest steps, where the text decides the composition, would
        hardly count."""
        snr = (self.alpha[timestep] / self.sigma[timestep]) ** 2
        if prediction == "epsilon":
            return snr.clamp(max=gamma) / snr
        return (snr.clamp(max=gamma) + 1) / (snr + 1)


def solver_timesteps(steps: int) -> list[int]:
    """Timesteps that DPM-Solver visits, from 999 down: "linspace" spacing of diffusers."""
    places = torch.linspace(0, TIMESTEPS - 1, steps + 1, dtype=torch.float64).round().long()
    return places.flip(0)[:-1].tolist()


@torch.no_grad()
def sample(predict, latents, steps: int = 20, prediction: str = "v_prediction"):
    """DPM-Solver++ 2M (Lu et al., arXiv 2211.01095), midpoint form, last step first order.

    predict(z [B,C,h,w], timestep int) → the backbone's prediction, guidance included. latents: pure noise.
    Returns clean latents.
    """
    noise = Noise.linear(latents.device)
    times = solver_timesteps(steps)
    alphas = [noise.alpha[t].double() for t in times] + [torch.tensor(1.0, dtype=torch.float64)]
    sigmas = [noise.sigma[t].double() for t in times] + [torch.tensor(0.0, dtype=torch.float64)]
    logs = [(a / s).log() for a, s in zip(alphas, sigmas)]
    z, before = latents, None
    for i, t in enumerate(times):
        said, alpha, sigma = predict(z, t), alphas[i].item(), sigmas[i].item()
        clean = alpha * z - sigma * said if prediction == "v_prediction" else (z - sigma * said) / alpha
        estimate = clean
        if before is not None and i + 1 < len(times):
            ratio = ((logs[i] - logs[i - 1]) / (logs[i + 1] - logs[i])).item()
            estimate = clean + (clean - before) / (2 * ratio)
        shrink = (sigmas[i + 1] / sigmas[i]).item()
        # α·(1 − e^(−h)) with e^(−h) = (σ'/α')·(α/σ); the last step has σ' = 0 and lands on the estimate.
        gain = (alphas[i + 1] - alphas[i] * sigmas[i + 1] / sigmas[i]).item()
        z, before = shrink * z + gain * estimate, clean
    return z


def guided(backbone, text, mask, null_text, null_mask, scale: float = 4.5, **conditions):
    """A `predict` for `sample` with classifier-free guidance: text [B,L,Ct] against the empty caption's features
    [1,L,Ct], both padded to one length. Only the first C channels of the prediction are used."""
    batch = len(text)
    both = torch.cat([null_text.expand(batch, -1, -1), text])
    masks = torch.cat([null_mask.expand(batch, -1), mask])
    twice = {key: torch.cat([value, value]) for key, value in conditions.items() if torch.is_tensor(value)}
    plain = {key: value for key, value in conditions.items() if not torch.is_tensor(value)}

    def predict(z, timestep):
        said = backbone(torch.cat([z, z]), timestep, both, masks, **twice, **plain)[:, :z.shape[1]]
        empty, told = said.chunk(2)
        return empty + scale * (told - empty)

    return predict
