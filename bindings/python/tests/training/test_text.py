"""The T5 encoder and the vocabulary against transformers."""

import pytest
import torch

from sparsedit.training.t5 import T5Config, T5Encoder
from sparsedit.training.tokenizer import Tokenizer, save_tokenizer, train_vocabulary


@torch.no_grad()
def test_encoder_equals_transformers():
    transformers = pytest.importorskip("transformers")
    config = T5Config(vocab_size=50, d_model=24, d_kv=10, num_heads=3, d_ff=40, num_layers=3)
    ours = T5Encoder(config).eval()
    theirs = transformers.T5EncoderModel(transformers.T5Config(**config.to_dict())).eval()
    missing = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert missing.unexpected_keys == [] and set(missing.missing_keys) <= {"encoder.embed_tokens.weight"}
    ids, mask = torch.randint(0, 50, (2, 90)), torch.ones(2, 90)
    mask[0, 31:] = 0
    expected = theirs(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    actual = ours(ids, mask)
    keep = mask.bool()
    assert ((actual - expected)[keep].norm() / expected[keep].norm()).item() < 2e-6


def test_vocabulary(tmp_path):
    """Ids of the special tokens, and every word made of letters survives a round trip."""
    save_tokenizer(tmp_path, train_vocabulary(["a red house under a full moon", "two cats at night"] * 50, 90))
    tokenizer = Tokenizer(tmp_path)
    ids, mask = tokenizer(["A quick zebra, 3 jumps!", ""])
    assert ids[1].tolist()[0] == 1 and mask[1].sum() == 1
    assert 2 not in ids.flatten().tolist()
    assert tokenizer.model.decode(ids[0, :-1].tolist()) == "a quick zebra, 3 jumps!"
    assert len(tokenizer.ids("x" * 500)) == 120 and tokenizer.ids("x" * 500)[-1] == 1
