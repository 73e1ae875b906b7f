"""Dense checkpoints to sparse ones, as the paper does it.

Every block loads the dense block at the same depth. Poolingformer blocks drop query and key; a dense-recovery
block starts with W1 = 0, W2 = identity and zero biases, so that merged = x and nothing is lost at the start.
The result must be fine-tuned: `python -m sparsedit_training.train --sparse …`.
"""

import torch

from .config import BackboneConfig


def dense_to_sparse(state: dict[str, torch.Tensor], config: BackboneConfig) -> dict[str, torch.Tensor]:
    """The state dictionary of the sparse model `config` from that of the dense model of the same size."""
    sparse = dict(state)
    like = next(iter(state.values()))
    for depth, role in enumerate(config.roles()):
        block = f"transformer_blocks.{depth}"
        if role == "pooling":
            for name in [n for n in sparse if n.startswith((f"{block}.attn1.to_q.", f"{block}.attn1.to_k."))]:
                del sparse[name]
        if role == "recover":
            width, options = config.width, dict(dtype=like.dtype, device=like.device)
            sparse.setdefault(f"{block}.merge_sparse.weight", torch.zeros(width, width, **options))
            sparse.setdefault(f"{block}.merge_sparse.bias", torch.zeros(width, **options))
            sparse.setdefault(f"{block}.merge_dense.weight", torch.eye(width, **options))
    return sparse


def take_trunk(backbone: torch.nn.Module, state: dict[str, torch.Tensor]) -> list[str]:
    """Starts `backbone` from the weights of a model with the same width and depth whose patches, channels or form
    differ: every tensor whose name and shape fit is taken over. Returns the names that stay as they were."""
    own = backbone.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    backbone.load_state_dict(fitting, strict=False)
    return sorted(own.keys() - fitting.keys())
