"""The token schedule: how many sparse tokens the backbone keeps at a timestep.

Source: SparseDiT (arXiv 2412.06028), the timestep-wise part. Few tokens while the picture is
noise (t near T), more as detail appears (t near 0).

Timesteps are training timesteps, integers 0 … T − 1 with T = 1000, 0 the cleanest; this is what
a diffusers scheduler hands to the model. A pruning rate r keeps about 1 − r of the tokens.
"""

import math
from dataclasses import dataclass

TIMESTEPS = 1000
KINDS = ("linear", "quarters", "constant")


@dataclass(frozen=True)
class TokenSchedule:
    """The pruning rate as a function of the timestep.

    kind:
      "linear"    r = minimum for t < T/4, then a straight line that reaches `maximum` at t = T:
                  r = ((4T − 4t)·minimum + (4t − T)·maximum) / 3T. For sampling.
      "quarters"  one constant rate per quarter of T, so that a training batch has one token count:
                  r = minimum + k/3·(maximum − minimum), k = floor(4t/T) in 0 … 3.
      "constant"  (minimum + maximum) / 2 at every timestep; with equal rates, that rate.
    """

    minimum: float = 0.61
    maximum: float = 0.86
    kind: str = "linear"

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"unknown token schedule {self.kind!r}: expected one of {', '.join(KINDS)}")
        if not 0 <= self.minimum <= self.maximum < 1:
            raise ValueError(f"rates must satisfy 0 <= minimum <= maximum < 1, not {self.minimum}, {self.maximum}")

    def rate(self, timestep: float) -> float:
        """The pruning rate r at `timestep`."""
        t, low, high = float(timestep), self.minimum, self.maximum
        if self.kind == "constant":
            return (low + high) / 2
        if self.kind == "quarters":
            return self.quarter_rate(min(3, max(0, math.floor(4 * t / TIMESTEPS))))
        if t < TIMESTEPS / 4:
            return low
        return ((4 * TIMESTEPS - 4 * t) * low + (4 * t - TIMESTEPS) * high) / (3 * TIMESTEPS)

    def quarter_rate(self, quarter: int) -> float:
        """The rate that a training batch uses when its timesteps come from `quarter` (0 … 3)."""
        if self.kind == "constant":
            return (self.minimum + self.maximum) / 2
        return self.minimum + quarter / 3 * (self.maximum - self.minimum)


def sparse_grid(grid: tuple[int, int], rate: float) -> tuple[int, int]:
    """The (height, width) of the sparse token grid that pruning `grid` at `rate` leaves.

    Each side is max(1, round(side·√(1 − rate))), halves rounded away from zero.
    """
    keep = math.sqrt(1 - rate)
    return tuple(max(1, math.floor(side * keep + 0.5)) for side in grid)
