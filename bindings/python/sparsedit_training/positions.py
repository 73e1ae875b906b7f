"""The 2-D sin-cos position table of PixArt, in diffusers' layout."""

import torch


def _sincos(dimension: int, positions: torch.Tensor) -> torch.Tensor:
    """[n] positions → [n, dimension]: sines then cosines at frequencies 10000^(−2i/dimension)."""
    frequencies = 10000.0 ** -(torch.arange(dimension // 2, dtype=torch.float64) / (dimension / 2))
    angles = positions.flatten().double()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def sincos_positions(config, grid: tuple[int, int]) -> torch.Tensor:
    """The table [1, H·W, D] for a token grid (H, W); the first D/2 channels are of the column, the rest of the row.

    Coordinates run 0 … base (base = sample_size / patch_size) over each side whatever its length, divided by
    `interpolation_scale`: i / (side / base) / scale.
    """
    base = config.sample_size // config.patch_size
    rows, columns = (
        torch.arange(side, dtype=torch.float32) / (side / base) / config.interpolation_scale for side in grid
    )
    row, column = torch.meshgrid(rows, columns, indexing="ij")
    table = torch.cat([_sincos(config.width // 2, column), _sincos(config.width // 2, row)], dim=1)
    return table.float().unsqueeze(0)
