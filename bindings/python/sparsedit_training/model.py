"""SparseDiT for text to image: the PyTorch reference, written from the paper.

One module draws both forms. Without `sparsity` in its configuration it is PixArt-α
(arXiv 2310.00426) with the weight names and the arithmetic of diffusers' PixArtTransformer2DModel;
with it, SparseDiT (arXiv 2412.06028) on the same blocks:

    bottom   Poolingformer blocks: self-attention replaced by the mean over all N tokens
    middle   sparse-dense token modules: generate M sparse tokens, work on them, recover N, refine
    top      ordinary blocks on N tokens

Shapes: B pictures, C latent channels on an h×w latent grid, patches of p give N = (h/p)·(w/p)
dense tokens of width D; M sparse tokens; L text tokens.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .config import BackboneConfig
from .layers import AdaLNSingle, Attention, FeedForward, PatchEmbed, TextProjection, modulate, normalize
from .positions import sincos_positions
from .schedule import sparse_grid


class Block(nn.Module):
    """One transformer block of PixArt; `role` says which tokens it sees.

    dense, sparse   queries, keys and values from the same tokens
    pooling         self-attention is the mean over the tokens: no query, no key
    generate        queries from the pooled (sparse) tokens, keys and values from the dense ones
    recover         queries from the merged (dense) tokens, keys and values from the sparse ones
    """

    def __init__(self, config: BackboneConfig, role: str):
        super().__init__()
        self.role, width = role, config.width
        self.scale_shift_table = nn.Parameter(torch.zeros(6, width))
        self.attn1 = Attention(width, width, config.num_attention_heads, config.attention_bias,
                               value_only=role == "pooling")
        self.attn2 = Attention(width, config.cross_attention_dim, config.num_attention_heads, config.attention_bias)
        self.ff = FeedForward(width)
        if role == "recover":
            self.merge_sparse = nn.Linear(width, width)             # W1 and b1 + b2
            self.merge_dense = nn.Linear(width, width, bias=False)  # W2

    def forward(self, x, time, text, text_bias, context=None):
        """x [B,Nq,D]: the residual stream. time [B,6,D]: the shared adaLN-single values.
        text [B,L,D], text_bias [B,1,1,L]. context [B,Nk,D]: where keys and values come from, x when None."""
        values = (self.scale_shift_table + time).unbind(1)  # 6 × [B,D]
        shift1, scale1, gate1, shift2, scale2, gate2 = (v.unsqueeze(1) for v in values)
        queries = modulate(x, shift1, scale1)
        if self.role == "pooling":
            # The mean commutes with the projections, so one row is enough: [B,1,D].
            attended = self.attn1.pooled(queries)
        else:
            # Dense and sparse tokens share norm and modulation.
            attended = self.attn1(queries, queries if context is None else modulate(context, shift1, scale1))
        x = torch.addcmul(x, gate1, attended)
        x = x + self.attn2(x, text, text_bias)  # neither norm nor gate, as in PixArt
        return torch.addcmul(x, gate2, self.ff(modulate(x, shift2, scale2)))

    def merge(self, dense, sparse, index):
        """W1·upsample(sparse) + b1 + W2·dense → [B,N,D]; `index` [N] is the sparse token of each dense one."""
        # A linear map commutes with nearest-neighbour upsampling: apply W1 to the M rows first.
        return self.merge_sparse(sparse)[:, index] + self.merge_dense(dense)


def pool_to_grid(x, grid, target):
    """Adaptive average pooling of tokens x [B,H·W,D] from `grid` (H,W) to `target` (h,w) → [B,h·w,D].
    Bin i of h covers rows floor(i·H/h) … ceil((i+1)·H/h)."""
    image = x.transpose(1, 2).unflatten(2, grid)
    return F.adaptive_avg_pool2d(image, target).flatten(2).transpose(1, 2)


def upsample_index(grid, target, device=None):
    """For each token of `target` (H,W) the token of `grid` (h,w) under it: row floor(i·h/H), likewise columns."""
    rows, columns = ((torch.arange(big, device=device) * small) // big for small, big in zip(grid, target))
    return (rows[:, None] * grid[1] + columns[None, :]).flatten()


class SparseDiT(nn.Module):
    """The backbone: noisy latents, timestep and text to the network's prediction (noise or v).

    config: a BackboneConfig, or a dictionary with diffusers' PixArtTransformer2DModel keys and an optional
    "sparsity" object. The prediction has `out_channels` channels; a variance half, if any, is left in.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config = BackboneConfig.of(config)
        self.pos_embed = PatchEmbed(config)
        self.adaln_single = AdaLNSingle(config)
        self.caption_projection = TextProjection(config) if config.caption_channels else None
        self.transformer_blocks = nn.ModuleList(Block(config, role) for role in config.roles())
        self.scale_shift_table = nn.Parameter(torch.zeros(2, config.width))
        self.proj_out = nn.Linear(config.width, config.patch_size ** 2 * config.out_channels)
        self._positions = {}
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self):
        """Initial weights for training from nothing: small residual branches, a zero prediction, and a
        dense recovery that passes its dense tokens through (W1 = 0, W2 = identity)."""
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                nn.init.xavier_uniform_(module.weight.flatten(1))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for block in self.transformer_blocks:
            block.scale_shift_table.zero_()
            block.scale_shift_table[[2, 5]] = (2 * len(self.transformer_blocks)) ** -0.5  # the two gates
            block.attn2.to_out[0].weight.mul_(0.2)
            if block.role == "recover":
                block.merge_sparse.weight.zero_()
                nn.init.eye_(block.merge_dense.weight)
        nn.init.normal_(self.adaln_single.linear.weight, std=0.02)
        self.scale_shift_table.zero_()
        self.proj_out.weight.zero_()

    def positions(self, grid, device):
        """The sin-cos position table of a token grid, [1,N,D]; kept, since it depends on nothing else."""
        key = (grid, str(device))
        if key not in self._positions:
            self._positions[key] = sincos_positions(self.config, grid).to(device)
        return self._positions[key]

    def grid_at(self, grid, timestep, rate=None):
        """The sparse grid for a dense token `grid`: of `rate`, or of the schedule at `timestep`
        (a batch with several timesteps must agree on one grid)."""
        if rate is None:
            rates = {self.config.schedule.rate(t) for t in torch.as_tensor(timestep).flatten().tolist()}
        else:
            rates = {float(rate)}
        grids = {sparse_grid(grid, r) for r in rates}
        if len(grids) != 1:
            raise ValueError("the timesteps of one batch lead to different sparse grids: pass `rate`")
        return grids.pop()

    def forward(self, latents, timestep, text, mask=None, resolution=None, aspect_ratio=None, rate=None, tap=None):
        """Predicts for latents [B,C,h,w] at `timestep` (scalar or [B], 0 … 999) under text features
        text [B,L,Ct] with mask [B,L] (1 = token, 0 = padding). resolution [B,2] and aspect_ratio [B,1] are the
        size conditions of the 1024 models. `rate` overrides the token schedule (ignored by a dense model).
        Returns [B,out_channels,h,w]; with `tap` = i also the tokens after block i."""
        batch, _, height, width = latents.shape
        grid = (height // self.config.patch_size, width // self.config.patch_size)
        positions = self.positions(grid, latents.device).to(latents.dtype)
        x = self.pos_embed.proj(latents).flatten(2).transpose(1, 2) + positions   # [B,N,D]
        timestep = torch.as_tensor(timestep, device=latents.device).reshape(-1).expand(batch)
        time, embedded = self.adaln_single(timestep, resolution, aspect_ratio, x.dtype)  # [B,6,D], [B,D]
        text = text if self.caption_projection is None else self.caption_projection(text)
        bias = None if mask is None else ((1 - mask.to(x.dtype)) * -10000.0)[:, None, None, :]
        x, tapped = self._blocks(x, time, text, bias, grid, positions, timestep, rate, tap)
        shift, scale = (self.scale_shift_table + embedded.unsqueeze(1)).chunk(2, dim=1)  # [B,1,D] each
        x = self.proj_out(torch.addcmul(shift, normalize(x), 1 + scale))          # [B,N,p·p·C_out]
        patch, channels = self.config.patch_size, self.config.out_channels
        x = x.reshape(batch, *grid, patch, patch, channels).permute(0, 5, 1, 3, 2, 4)
        x = x.reshape(batch, channels, grid[0] * patch, grid[1] * patch)
        return x if tap is None else (x, tapped)

    def _blocks(self, x, time, text, bias, grid, positions, timestep, rate, tap):
        """Walks the block plan; returns the dense tokens and the tokens after block `tap`.

        With `position_embedding_again` the sin-cos table is added again where the tokens change density: to the
        pooled sparse tokens (before the generating block) the dense table pooled in the same way, and to the
        merged tokens (before the recovering block) the dense table itself.
        """
        sparse, tapped, again = None, None, self.config.position_embedding_again
        if self.config.sparse:
            target = self.grid_at(grid, timestep, rate)
            index = upsample_index(target, grid, x.device)
        for depth, block in enumerate(self.transformer_blocks):
            if block.role == "generate":
                sparse = pool_to_grid(x + positions if again else x, grid, target)   # [B,M,D]; pooling is linear
                sparse = block(sparse, time, text, bias, context=x)
            elif block.role == "sparse":
                sparse = block(sparse, time, text, bias)
            elif block.role == "recover":
                merged = block.merge(x, sparse, index)
                x = block(merged + positions if again else merged, time, text, bias, context=sparse)
            else:
                x = block(x, time, text, bias)
            if depth == tap:
                tapped = x
        return x, tapped
