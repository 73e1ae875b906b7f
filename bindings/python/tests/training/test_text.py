"""The T5 encoder and the vocabulary against transformers."""

import pytest
import torch
from sparsedit_training.export import save_text_encoder
from sparsedit_training.pretrain_text import start_encoder
from sparsedit_training.t5 import T5Config, T5Encoder
from sparsedit_training.tokenizer import Tokenizer, extend_vocabulary, save_tokenizer, train_vocabulary


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


def test_an_extended_vocabulary_keeps_ids_and_encoder(tmp_path):
    """Old captions read as before, with the old encoder's features; a new word is one piece."""
    old = train_vocabulary(["a red house under a full moon", "two cats at night"] * 50, 90)
    save_tokenizer(tmp_path / "old", old)
    save_tokenizer(tmp_path / "new", extend_vocabulary(old, ["a red house", "two kittens, a kitten."] * 5))
    before, after = Tokenizer(tmp_path / "old"), Tokenizer(tmp_path / "new")
    caption = "two cats under a red house"
    assert before.ids(caption) == after.ids(caption)
    assert len(before.ids("kittens")) > 2 and len(after.ids("kittens")) == len(after.ids("kitten")) == 2
    assert 2 not in after.ids("kittens on a zebra")
    config = T5Config(before.model.get_piece_size(), 16, 8, 2, 24, 2)
    encoder = T5Encoder(config)
    save_text_encoder(tmp_path, encoder)
    grown = start_encoder(tmp_path, after.model.get_piece_size())
    with torch.no_grad():
        torch.testing.assert_close(grown(*after([caption])), encoder(*before([caption])))
        assert grown(*after(["kittens"])).isfinite().all()
