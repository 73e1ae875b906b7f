"""The reference backbone against diffusers (dense) and against the paper's equations (sparse)."""

import pytest
import torch
from sparsedit_training.convert import dense_to_sparse
from sparsedit_training.model import SparseDiT, pool_to_grid, upsample_index
from sparsedit_training.schedule import TokenSchedule, sparse_grid


def config(**more):
    return dict(num_attention_heads=2, attention_head_dim=24, in_channels=4, out_channels=8, num_layers=3,
                cross_attention_dim=48, sample_size=16, patch_size=2, caption_channels=20,
                use_additional_conditions=False) | more


def inputs(batch=2, height=16, width=12, length=7):
    generator = torch.Generator().manual_seed(3)
    mask = torch.ones(batch, length)
    mask[0, 4:] = 0
    return dict(latents=torch.randn(batch, 4, height, width, generator=generator), mask=mask,
                text=torch.randn(batch, length, 20, generator=generator))


def randomized(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * 0.15)
    return model.eval()


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("additional", [False, True])
@pytest.mark.parametrize("height,width", [(16, 16), (16, 12), (10, 14)])
@torch.no_grad()
def test_dense_equals_diffusers(additional, height, width):
    diffusers = pytest.importorskip("diffusers")
    c = config(use_additional_conditions=additional)
    theirs = randomized(diffusers.PixArtTransformer2DModel(**c))
    ours = SparseDiT(c)
    ours.load_state_dict(theirs.state_dict())
    i = inputs(height=height, width=width)
    sizes = dict(resolution=torch.tensor([[128.0, 96.0], [64.0, 80.0]]), aspect_ratio=torch.tensor([[1.3], [0.8]]))
    sizes = sizes if additional else dict(resolution=None, aspect_ratio=None)
    timestep = torch.tensor([987, 13])
    expected = theirs(i["latents"], i["text"], timestep, sizes, encoder_attention_mask=i["mask"]).sample
    assert relative(ours(i["latents"], timestep, i["text"], i["mask"], **sizes), expected) < 1e-6


SPARSITY = dict(poolingformer=1, modules=2, module_layout=[1, 1, 1, 1], top=1, schedule="quarters")


@torch.no_grad()
def test_sparse_follows_the_equations():
    """The whole sparse model once more, written out block by block without the shortcuts."""
    model = randomized(SparseDiT(config(num_layers=10, sparsity=SPARSITY | dict(position_embedding_again=True))))
    i = inputs()
    t = torch.tensor([600, 600])
    grid, target = (8, 6), sparse_grid((8, 6), model.config.schedule.rate(600))
    positions = model.positions(grid, "cpu")
    x = model.pos_embed.proj(i["latents"]).flatten(2).transpose(1, 2) + positions
    time, embedded = model.adaln_single(t, None, None, torch.float32)
    text = model.caption_projection(i["text"])
    tokens = [text[b, :int(i["mask"][b].sum())] for b in range(2)]  # padding cut off instead of masked

    def attention(a, q, kv):
        q, k, v = (p.unflatten(-1, (2, 24)).transpose(0, 1) for p in (a.to_q(q), a.to_k(kv), a.to_v(kv)))
        scores = (q @ k.transpose(1, 2) / 24 ** 0.5).softmax(-1)
        return a.to_out[0]((scores @ v).transpose(0, 1).flatten(1))

    def block(b, x, context, time, text):
        s1, c1, g1, s2, c2, g2 = b.scale_shift_table + time
        mod = lambda y, shift, scale: torch.layer_norm(y, y.shape[-1:], eps=1e-6) * (1 + scale) + shift
        if b.role == "pooling":
            mixed = b.attn1.to_v(mod(x, s1, c1)).mean(0, keepdim=True)
            x = x + g1 * b.attn1.to_out[0](mixed).expand_as(x)
        else:
            x = x + g1 * attention(b.attn1, mod(x, s1, c1), mod(context, s1, c1))
        x = x + attention(b.attn2, x, text)
        return x + g2 * b.ff(mod(x, s2, c2))

    def image(y, size):
        return y.T.reshape(1, -1, *size)

    pictures = []
    for n in range(2):
        y, args = x[n], (time[n], tokens[n])
        for b in model.transformer_blocks:
            if b.role == "generate":
                pool = lambda z: torch.nn.functional.adaptive_avg_pool2d(image(z, grid), target)[0].flatten(1).T
                s = block(b, pool(y) + pool(positions[0]), y, *args)
            elif b.role == "sparse":
                s = block(b, s, s, *args)
            elif b.role == "recover":
                up = torch.nn.functional.interpolate(image(s, target), grid, mode="nearest")[0].flatten(1).T
                merged = b.merge_sparse(up) + b.merge_dense(y) + positions[0]
                y = block(b, merged, s, *args)
            else:
                y = block(b, y, y, *args)
        shift, scale = model.scale_shift_table + embedded[n]
        y = model.proj_out(torch.layer_norm(y, y.shape[-1:], eps=1e-6) * (1 + scale) + shift)
        pictures.append(y.reshape(8, 6, 2, 2, 8).permute(4, 0, 2, 1, 3).reshape(8, 16, 12))
    assert relative(model(i["latents"], t, i["text"], i["mask"]), torch.stack(pictures)) < 1e-6


@torch.no_grad()
def test_conversion_starts_as_the_paper_says():
    dense = randomized(SparseDiT(config(num_layers=10)))
    sparse = SparseDiT(config(num_layers=10, sparsity=SPARSITY))
    state = dense_to_sparse(dense.state_dict(), sparse.config)
    sparse.load_state_dict(state)
    assert "transformer_blocks.0.attn1.to_q.weight" not in state
    for block in sparse.transformer_blocks:
        if block.role == "recover":
            x, s = torch.randn(1, 48, 48), torch.randn(1, 4, 48)
            assert torch.equal(block.merge(x, s, upsample_index((2, 2), (8, 6))), x)


def test_grids():
    """The sides that the paper's rates give, and floor-indexed upsampling equal to PyTorch's."""
    sides = lambda side, *rates: [sparse_grid((side, side), r)[0] for r in rates]
    assert sides(16, 0.44, 0.61) == [12, 10] and sides(16, 0.61, 0.86) == [10, 6]
    assert sides(32, 0.61, 0.86) == [20, 12] and sides(32, 0.90, 0.96) == [10, 6]
    assert sparse_grid((2, 40), 0.96) == (1, 8)
    for small in range(1, 20):
        for big in range(small, 40):
            row = torch.arange(small, dtype=torch.float32).reshape(1, 1, 1, small)
            expected = torch.nn.functional.interpolate(row, (1, big), mode="nearest").flatten().long()
            assert torch.equal(upsample_index((1, small), (1, big)), expected)


def test_schedules():
    linear, quarters = TokenSchedule(0.4, 0.7, "linear"), TokenSchedule(0.4, 0.7, "quarters")
    assert [linear.rate(t) for t in (0, 249, 250)] == [0.4, 0.4, 0.4]
    assert linear.rate(1000) == pytest.approx(0.7) and linear.rate(625) == pytest.approx(0.55)
    assert [quarters.rate(t) for t in (249, 250, 749, 999)] == pytest.approx([0.4, 0.5, 0.6, 0.7])
    assert TokenSchedule(0.4, 0.7, "constant").rate(1) == pytest.approx(0.55)


@torch.no_grad()
def test_every_token_kept():
    """Rate 0 keeps the grid: pooling and upsampling are then the identity."""
    x = torch.randn(2, 48, 5)
    assert torch.equal(pool_to_grid(x, (8, 6), sparse_grid((8, 6), 0.0)), x)
    assert torch.equal(x[:, upsample_index((8, 6), (8, 6))], x)
