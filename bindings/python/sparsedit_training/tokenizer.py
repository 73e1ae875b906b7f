"""The SentencePiece vocabulary of the default model, with T5's conventions.

    python -m sparsedit_training.tokenizer --output FOLDER [--extend OLDER]

writes FOLDER/spiece.model and FOLDER/tokenizer_config.json. Ids: 0 padding, 1 end of sentence, 2 unknown;
captions are lowered and stripped as diffusers' PixArt pipeline does, at most 120 ids with the end.
"""

import argparse
import io
import json
import math
import random
from collections import Counter
from pathlib import Path

import sentencepiece
import torch
from sentencepiece.sentencepiece_model_pb2 import ModelProto

MAX_LENGTH = 120
PAD, EOS, UNKNOWN = 0, 1, 2
# All characters of a keyboard must tokenize, also those that no caption of the training world has.
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"-()&/+"
# Subtracted from the log probability of trained pieces: two of them then never beat one whole word.
BELOW_WORDS = 15.0


def train_vocabulary(captions, size: int = 600) -> bytes:
    """A unigram model over an iterable of captions: the bytes of spiece.model.

    Unigram training on so small a language splits even its commonest words ("or|ang|e"), and short sequences of
    whole words are what a small text encoder learns fastest. So every word of the captions becomes a piece with
    its log frequency, and the trained pieces stay below them for all other words.
    """
    captions = list(captions)
    words = Counter(word.strip(".,") for text in captions for word in text.split())
    model = ModelProto.FromString(_train_unigram(captions, size))
    trained = {piece.piece: piece for piece in model.pieces if piece.type == piece.NORMAL}
    for piece in trained.values():
        piece.score -= BELOW_WORDS
    for word, count in words.most_common(size - len(model.pieces)):
        name = "\u2581" + word
        piece = trained.get(name) or model.pieces.add(piece=name, type=ModelProto.SentencePiece.NORMAL)
        piece.score = math.log(count / words.total())
    return model.SerializeToString()


def extend_vocabulary(old: bytes, captions) -> bytes:
    """A vocabulary with a piece for every new word of the captions behind the old pieces, whose ids stay as they are:
    an encoder that was trained on the old ones can be taken over."""
    model = ModelProto.FromString(old)
    words = Counter(word.strip(".,") for text in captions for word in text.split())
    known = {piece.piece for piece in model.pieces}
    for word, count in words.most_common():
        if word and (name := "\u2581" + word) not in known:
            model.pieces.add(piece=name, type=ModelProto.SentencePiece.NORMAL, score=math.log(count / words.total()))
    return model.SerializeToString()


def _train_unigram(captions: list[str], size: int) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(captions), model_writer=model, model_type="unigram", vocab_size=size,
        pad_id=PAD, eos_id=EOS, unk_id=UNKNOWN, bos_id=-1, character_coverage=1.0, required_chars=CHARACTERS,
        normalization_rule_name="nmt_nfkc", hard_vocab_limit=False, minloglevel=2,
    )
    return model.getvalue()


def world_captions(count: int, seed: int = 11):
    """`count` captions of random scenes, lowered."""
    from .world import caption, sample_scene
    rng = random.Random(seed)
    for _ in range(count):
        yield caption(sample_scene(rng, heldout=None), rng).lower()


def save_tokenizer(folder: Path, model: bytes):
    """Writes spiece.model and the tokenizer_config.json that transformers expects beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spiece.model").write_bytes(model)
    settings = {"tokenizer_class": "T5Tokenizer", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>",
                "extra_ids": 0, "additional_special_tokens": [], "model_max_length": MAX_LENGTH, "legacy": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


class Tokenizer:
    """Captions to padded ids; `folder` holds spiece.model."""

    def __init__(self, folder, max_length: int = MAX_LENGTH):
        self.model = sentencepiece.SentencePieceProcessor(model_file=str(Path(folder) / "spiece.model"))
        self.max_length = max_length

    def ids(self, text: str) -> list[int]:
        """The ids of one caption, end of sentence included."""
        return self.model.encode(text.lower().strip())[: self.max_length - 1] + [EOS]

    def __call__(self, texts: list[str], pad_to: int | None = None):
        """ids [B,L] int64 and mask [B,L] f32; L is the longest caption's, or `pad_to`."""
        return pad_ids([self.ids(text) for text in texts], pad_to)


def pad_ids(rows: list[list[int]], pad_to: int | None = None):
    """Lists of ids → ids [B,L] int64 and mask [B,L] f32."""
    length = pad_to or max(len(row) for row in rows)
    ids = torch.full((len(rows), length), PAD)
    mask = torch.zeros(len(rows), length)
    for i, row in enumerate(rows):
        ids[i, :len(row)] = torch.tensor(row)
        mask[i, :len(row)] = 1
    return ids, mask


def main():
    parser = argparse.ArgumentParser(description="Trains the SentencePiece vocabulary on captions of the world.")
    parser.add_argument("--output", type=Path, required=True, help="folder for spiece.model")
    parser.add_argument("--size", type=int, default=600)
    parser.add_argument("--captions", type=int, default=200_000)
    parser.add_argument("--extend", type=Path, help="folder of an older vocabulary: keep its ids, add the new words")
    options = parser.parse_args()
    captions = world_captions(options.captions)
    if options.extend:
        model = extend_vocabulary((options.extend / "spiece.model").read_bytes(), captions)
    else:
        model = train_vocabulary(captions, options.size)
    save_tokenizer(options.output, model)


if __name__ == "__main__":
    main()
