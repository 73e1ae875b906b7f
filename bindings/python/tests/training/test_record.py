"""The record of a fine-tuning: curves from the log, and losses that can be compared between models."""

import json

import pytest
import torch
from sparsedit_training import record
from sparsedit_training.model import SparseDiT
from sparsedit_training.t5 import T5Config, T5Encoder


def test_a_run_that_went_back_leaves_one_curve(tmp_path):
    lines = [(32, 3.0), (64, 2.0), (96, 1.9), (64, 1.5), (128, 1.0)]  # resumed after the first line
    (tmp_path / "log.jsonl").write_text("".join(json.dumps({"images": i, "loss": v}) + "\n" for i, v in lines))
    assert record.curve(tmp_path) == ([32, 64, 128], [3.0, 1.5, 1.0])


def test_losses_compare_models_on_the_same_noise():
    torch.manual_seed(3)
    backbone = SparseDiT(dict(num_attention_heads=2, attention_head_dim=12, num_layers=6, sample_size=8,
                              out_channels=4, cross_attention_dim=24, caption_channels=8))
    encoder = T5Encoder(T5Config(20, 8, 8, 2, 24, 2))
    batch = {"latents": torch.randn(6, 4, 8, 8), "ids": torch.tensor([[3, 4, 1]] * 6), "mask": torch.ones(6, 3)}
    first = record.unseen_loss(backbone, encoder, [batch])
    assert record.unseen_loss(backbone, encoder, [batch]) == first
    # A new backbone predicts zero, so the loss is the target's own square under min-SNR weights, computed here
    # from its definition. v has unit variance for unit latents: 288 values of each quarter keep it within 20 %.
    assert len(first) == 4
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    kept = torch.cumprod(1 - betas, 0)
    snr = kept / (1 - kept)
    weight = (snr.clamp(max=5) + 1) / (snr + 1)
    for quarter, loss in enumerate(first):
        assert loss == pytest.approx(weight[quarter * 250:(quarter + 1) * 250].mean().item(), rel=0.2)


def test_the_table_has_a_row_per_model():
    losses = {key: [1.0, 2.0, 3.0, 4.0] for key in record.MODELS}
    verdict = dict.fromkeys(record.QUESTIONS, 50.0)
    rows = record.table(losses, {"dense": verdict}).splitlines()
    assert len(rows) == 2 + len(record.MODELS)
    assert "2.5000" in rows[2] and rows[2].count("50.0 %") == len(record.QUESTIONS)
    assert "%" not in rows[3]
