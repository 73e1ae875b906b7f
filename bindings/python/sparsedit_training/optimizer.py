"""The optimiser: Muon for the matrices of the blocks, AdamW for everything else, and averaged weights.

Muon (Keller Jordan, 2024) replaces a matrix's momentum by the nearest orthogonal matrix, so that all its directions
move by the same amount. For the little training that a default model can get on a CPU it needs about half the
images of AdamW; the extra work does not depend on the batch.
"""

import torch

from .half import has_half_units

# The best four quintics in a row for singular values of 10⁻³ and more (Polar Express, Amsel et al., arXiv 2505.16932).
QUINTICS = ((8.28721, -23.59589, 17.30039), (4.10706, -2.94785, 0.54484), (3.94869, -2.90890, 0.55182),
            (3.31842, -2.48849, 0.51005))


def orthogonalize(matrices: torch.Tensor) -> torch.Tensor:
    """A stack [n, rows, columns] with every singular value brought near 1 by polynomials x·p(xxᵀ)."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    if has_half_units(matrices.device):
        x = x.bfloat16()  # exact singular values are not needed, and matrix units are many times as fast
    x = x / (1.02 * x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for a, b, c in QUINTICS:
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay. Updates are scaled to the size that AdamW's have
    (0.2·√max(rows, columns), Liu et al., arXiv 2502.16982), so that both share one learning rate."""

    def __init__(self, parameters, lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(parameters, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault(p.shape, []).append(p)
            for shape, same in shapes.items():  # equal shapes are orthogonalised together
                self._step_stack(same, group, 0.2 * max(shape) ** 0.5)

    def _step_stack(self, parameters, group, scale):
        gradients = torch.stack([p.grad for p in parameters])
        buffers = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in parameters]
        torch._foreach_lerp_(buffers, list(gradients.unbind()), 1 - group["momentum"])
        ahead = torch.stack(buffers).lerp_(gradients, 1 - group["momentum"])
        updates = list(orthogonalize(ahead).unbind())
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, updates, alpha=-group["lr"] * scale)


class Optimizers:
    """Both optimisers over the training modules, with one learning-rate factor.

    backbone: SparseDiT. encoder: the jointly trained text encoder at `text_share` of the rate, or None.
    heads: modules used in training only. The blocks' matrices get Muon at `muon_share` times the rate."""

    def __init__(self, backbone, encoder=None, heads=None, rate: float = 1e-3, text_share: float = 0.2,
                 muon_share: float = 2.5, weight_decay: float = 0.01, muon: bool = True):
        matrices, others = [], []
        for name, p in backbone.named_parameters():
            inside = name.startswith("transformer_blocks.") and p.ndim == 2 and not name.endswith("table")
            (matrices if muon and inside else others).append(p)
        groups = [dict(params=others, lr=rate)]
        if encoder is not None:
            groups.append(dict(params=list(encoder.parameters()), lr=rate * text_share))
        if heads is not None:
            groups.append(dict(params=list(heads.parameters()), lr=rate))
        self.parts = [torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=weight_decay)]
        if matrices:
            self.parts.append(Muon([dict(params=matrices, lr=rate * muon_share)], rate, weight_decay=weight_decay))
        self.rates = [[group["lr"] for group in part.param_groups] for part in self.parts]
        self.parameters = [p for part in self.parts for group in part.param_groups for p in group["params"]]

    def step(self, factor: float):
        """One step at `factor` of the full learning rates, after clipping the gradient; clears the gradients."""
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for part, rates in zip(self.parts, self.rates):
            for group, rate in zip(part.param_groups, rates):
                group["lr"] = rate * factor
            part.step()
            part.zero_grad()

    def state_dict(self):
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states):
        for part, state in zip(self.parts, states):
            part.load_state_dict(state)


class Average:
    """Exponential moving average of a module's weights. The decay warms up, so that the first averages are not
    the random start: min(decay, (1 + n) / (10 + n)) after n updates."""

    def __init__(self, module, decay: float = 0.9995):
        self.decay, self.updates = decay, 0
        self.weights = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module):
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(list(self.weights.values()), [p.detach() for p in module.parameters()], 1 - decay)

    def state_dict(self):
        return {"weights": self.weights, "updates": self.updates}

    def load_state_dict(self, state):
        self.weights, self.updates = state["weights"], state["updates"]
