"""Writes Tests/Golden/tokenizer: small SentencePiece models, for a few hundred prompts the ids that
transformers' T5Tokenizer gives after the cleaning that diffusers' PixArt pipelines do without bs4 and
ftfy (`lower().strip()`), and for thousands of strings the ids that the Python package sentencepiece
gives.

    python Tests/Golden/make_tokenizer_golden.py

Made with transformers 5.23.0, tokenizers 0.23.3, sentencepiece 0.2.3, Python 3.11. The models are
trained on sentences drawn below; a rerun with the same versions gives the same files.

golden.json: {"prompts": [text], "cleaned": [text],
              "models": {name: [ids of each prompt, with the end-of-sequence id]},
              "differences": {name: [{"prompt", "kinds": [kind], "ids"}]},
              "padded": {"maxLength": [[ids], [mask]]} for the prompt `padded_prompt` of "nfkc"}

"models" are the ids of transformers. Where the engine's are others because libsentencepiece is not
transformers, `differences` says which prompt, of what kinds (see docs/tokenizer.md), and which ids the
engine gives: those of the Python package, between the tokens that transformers cuts out. A name that
ends in ".json" is the folder that transformers saves, without the SentencePiece file.

sentencepiece.json: {"strings": [text], "models": {name: [ids of the first strings]}}
"""

import io
import itertools
import json
import pathlib
import random
import re
import tempfile
import unicodedata

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from transformers import T5Tokenizer

FOLDER = pathlib.Path(__file__).parent / "tokenizer"

WORDS = (
    "a the red green blue house tree moon sun under left right of above below boat cat dog car "
    "flower mountain cloud night day évening café naïve straße οδός κόσμος мир дом красный 日本 語 東京 "
    "月 家 赤 한국어 집 شمس قمر שמש हिन्दी घर क्षण tiếng việt 😀 🏠 👩‍👩‍👧 don't it's 3.14 100% (x) [y] "
    '"quoted" semi; colon: dash—dash … !? @home #tag <b> & * / \\ ~ ^ _ ` aaa aaaa -- --- .. ... !! ha '
    "haha 00 000 ▁"
).split()

# Models that differ in what the tokenizer must get right. `byte_fallback` is on in one model because
# transformers ignores it: unknown characters give <unk>.
MODELS = {
    "nfkc": dict(vocab_size=320, character_coverage=0.985, normalization_rule_name="nmt_nfkc"),
    "bytes": dict(vocab_size=560, normalization_rule_name="identity", byte_fallback=True),
    "symbols": dict(
        vocab_size=320,
        normalization_rule_name="identity",
        user_defined_symbols=["<obj>", "red", "hou"],
        control_symbols=["<ctl>"],
    ),
    # What T5 has otherwise: how white space is read.
    "suffix": dict(
        vocab_size=320,
        normalization_rule_name="identity",
        treat_whitespace_as_suffix=True,
        remove_extra_whitespaces=False,
    ),
    "bare": dict(vocab_size=320, normalization_rule_name="identity", add_dummy_prefix=False),
}

# Those that transformers can read; of the first two it saves a folder as well.
COMPARED = ["nfkc", "bytes", "symbols"]
SAVED = ["nfkc", "symbols"]

# Strings that each model is held against sentencepiece with.
STRINGS = {"nfkc": 6000, "bytes": 2500, "symbols": 2500, "suffix": 1500, "bare": 1500}

PLAIN = [
    "",
    " ",
    "\t\n",
    "a",
    "a red house under a full moon",
    "A RED House, under the Full Moon!",
    "  leading and trailing   ",
    "tabs\tand\nnew\r\nlines\x0band\x0cmore",
    "two  spaces   three",
    "no-break\u00a0space em\u2003space ideographic\u3000space line\u2028separator next\u0085line",
    "zero\u200bwidth joiner\u200d non\u200cjoiner bom\ufeff soft\u00adhyphen word\u2060joiner",
    "\x1cfile separators\x1d\x1e\x1f",
    "nul\x00byte bell\x07 delete\x7f",
    "punctuation: (a), [b]; {c} - \"d\" 'e' <f> /g\\ *h* #i @j $k% ^l & m_n ~o` p|q = r+s",
    "semi;colon:comma,dot.bang!ask?",
    "a (red:1.2) house, [tree], ((moon)) --ar 16:9 --v 5",
    "https://example.com/a?b=c&d=%20 user@example.com #hashtag @name",
    "3.14159 1,000,000 1e-5 -7 +7 100% 50° 5'10\" 1/2 ½ ²³ ①② Ⅳ",
    "café naïve façade Ångström straße ŒUVRE İstanbul ISTANBUL ıi ĲSSEL ǅ",
    "ΟΔΟΣ ΟΔΟΣ. Σ ΑΣ ΑΣΑ Α.Σ Α'Σ ΣΑΣ ΌΣΟΣ οδός ΚΌΣΜΟΣ",
    "КРАСНЫЙ дом под луной Ёлка",
    "日本の家、月の下。東京",
    "全角ＡＢＣ１２３　ｶﾀｶﾅ ガ が",
    "한국어 집 한국어 각",
    "منزل أحمر تحت القمر ﷺ ﻻ شَمْس",
    "בית אדום מתחת לירח שָׁלוֹם",
    "हिन्दी घर क्षण की",
    "ภาษาไทย บ้านสีแดง",
    "tiếng việt tiếng việt e\u0323\u0302 e\u0302\u0323",
    "combining e\u0301 a\u0308\u0308 a\u0301\u0327\u0301 o\u0323\u0302 \u0301alone z\u0335\u0336\u0337",
    "😀 🏠 👩‍👩‍👧 🇩🇪🇫🇷 👍🏽 ❤️ ☎︎ #️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "𝐁𝐨𝐥𝐝 𝔉𝔯𝔞𝔨 ℂ ℃ ﬁne ﬂow ﬃ ſ K Å Ω",
    "▁ ▁▁ a▁b ▁lead trail▁ ▁▁▁x",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "............................. ------------------------- !!!!!!!!!!!!!!!!!!!!!!",
    "hahahahahahahahahahaha 0000000000000000000000000000",
    "<pad> </s> <unk> <s> <extra_id_0> <extra_id_99> <extra_id_100> <extra_id_007>",
    "red</s>house<pad><pad>a<extra_id_1>b",
    "</s></s>",
    "<PAD> </S> <EXTRA_ID_3>",
    "＜pad＞ ＜/s＞ ＜extra_id_2＞",
    "<obj> a<obj>b <ctl> redhouse houred redred",
    "< pad> <pad <extra_id_ <extra_id_12",
    "\ufffd \ufffe \uffff \U0010ffff \ue000",
    "unknown ⴰⵣⵓⵍ ꙮ 𐍈 glyphs ꧁꧂",
    "a cat " * 100,
    "x" * 700,
    "longword" * 60 + " " + "日本" * 150,
]

FUZZ_POOLS = [
    "abcdefghijklmnopqrstuvwxyz     ",
    "  \t\n\r\u00a0\u3000\u2028\u200b\u200d\u00ad\ufeff\x01\x7f\x85ab",
    "éàüßΣςσİıﬁ①½²ÅK℃ﷺ",
    "日本東京月家　、。",
    "\u0301\u0308\u0327\u0323e a o",
    "😀🏠👩\u200d👧🇩🇪🏽",
    "<>/_&▁ ab1",
    "अिहन्दीक्षघर",
    "가각한국\u1100\u1161\u11a8",
    "\u0627\u0644\u0634\u0645\u0633\u064b\ufefb",
    "aA.-0hH!",
    "ΑΣ.'·\u0301 ",
]


def prompts() -> list[str]:
    """The list above and 300 seeded random strings."""
    random.seed(20261121)
    drawn = []
    for _ in range(300):
        pool = "".join(random.sample(FUZZ_POOLS, random.randint(1, 3)))
        drawn.append("".join(random.choice(pool) for _ in range(random.randint(1, 16))))
    return PLAIN + drawn


def train(options: dict) -> bytes:
    random.seed(1)
    sentences = [
        " ".join(random.choice(WORDS) for _ in range(random.randint(1, 12))) for _ in range(20000)
    ]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        model_type="unigram",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
        hard_vocab_limit=False,
        **{"character_coverage": 1.0, **options},
    )
    return model.getvalue()


def strings() -> list[str]:
    """What `STRINGS` counts: the prompts, as they are and cleaned, and drawn ones of many kinds."""
    random.seed(20261122)
    texts = prompts() + [text.lower().strip() for text in prompts()]
    while len(texts) < max(STRINGS.values()):
        texts.append(random.choice(DRAWN)())
    random.shuffle(texts)
    return texts


def words(low: int, high: int) -> str:
    space = random.choice([" ", " ", "  ", "\t", "\n", "\u00a0", "\u3000", ", "])
    return space.join(random.choice(WORDS) for _ in range(random.randint(low, high)))


def letters(*ranges: tuple[int, int], high: int = 20) -> str:
    """Characters of these ranges, each as likely, now and then with a space between."""
    texts = []
    for _ in range(random.randint(0, high)):
        code = random.randint(*random.choice(ranges))
        texts.append(" " if random.random() < 0.1 else "?" if 0xD800 <= code < 0xE000 else chr(code))
    return "".join(texts)


DRAWN = [
    lambda: words(1, 12),
    lambda: words(1, 6).upper(),
    lambda: "".join(random.choice(WORDS) for _ in range(random.randint(1, 5))),
    lambda: letters((0x20, 0x7E), high=60),
    lambda: letters((0x01, 0x20), (0x7F, 0xA0), (0x61, 0x7A)),
    lambda: letters((0xA0, 0x24F), (0x370, 0x52F)),
    lambda: letters((0x300, 0x36F), (0x61, 0x7A)),
    lambda: letters((0x590, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F)),
    lambda: letters((0x1100, 0x11FF), (0xAC00, 0xD7A3)),
    lambda: letters((0x3000, 0x30FF), (0x4E00, 0x4EFF), (0xFF00, 0xFFEF)),
    lambda: letters((0x2000, 0x206F), (0x2028, 0x2029), (0x61, 0x66)),
    lambda: letters((0x2100, 0x218F), (0x2460, 0x24FF), (0x3200, 0x33FF), (0xFB00, 0xFDFF)),
    lambda: letters((0x1F300, 0x1F6FF), (0x1F1E6, 0x1F1FF), (0x200D, 0x200D), (0xFE0F, 0xFE0F)),
    lambda: letters((0x1, 0xFFFF)),
    lambda: letters((0x10000, 0x10FFFF)),
    lambda: random.choice(["a", ".", "-", "ha", " ", "日", "\u0301", "▁", "0", "é", "😀", "<"])
    * random.randint(1, 120),
    lambda: "".join(random.choice("<>/_spadunk▁ 0123xtreid") for _ in range(random.randint(1, 20))),
    lambda: " ".join(random.choice(["<obj>", "red", "hou", "<ctl>", "</s>", "<0x41>", "<unk>"])
                     for _ in range(random.randint(1, 5))),
    lambda: letters((0x61, 0x7A), (0x2581, 0x2581), (0x20, 0x20)),
]


def reference(folder: pathlib.Path, model: bytes) -> T5Tokenizer:
    """transformers' tokenizer of a model, and in `folder` what it saves."""
    with tempfile.TemporaryDirectory() as source:
        pathlib.Path(source, "spiece.model").write_bytes(model)
        tokenizer = T5Tokenizer.from_pretrained(source)
    tokenizer.save_pretrained(folder)
    return tokenizer


SENTINELS = [f"<extra_id_{number}>" for number in reversed(range(100))]
WHITE_SPACE = re.compile(r"[\t-\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


class Expected:
    """What the engine gives: the ids of the Python package between the tokens that are cut out."""

    def __init__(self, model: bytes, saved: bool, fallback: bool = True):
        proto = sentencepiece_model_pb2.ModelProto.FromString(model)
        kinds = sentencepiece_model_pb2.ModelProto.SentencePiece
        self.verbatim = {
            piece.piece: index for index, piece in enumerate(proto.pieces)
            if index < 3 or piece.type in (kinds.CONTROL, kinds.USER_DEFINED)
        }
        self.verbatim |= {text: len(proto.pieces) + i for i, text in enumerate(SENTINELS)}
        if not fallback:
            proto.trainer_spec.byte_fallback = False
            for piece in proto.pieces:
                piece.type = kinds.NORMAL if piece.type == kinds.BYTE else piece.type
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
        texts = sorted(self.verbatim, key=len, reverse=True)
        self.pattern = re.compile("(" + "|".join(map(re.escape, texts)) + ")")
        # A folder that transformers saved is read as it says: all white space separates words, but
        # for what the normalizer makes of it.
        normalizes = bool(proto.normalizer_spec.precompiled_charsmap)
        self.spaces = re.compile("\x85") if normalizes else WHITE_SPACE
        self.saved = saved

    def ids(self, text: str) -> list[int]:
        ids = []
        for part in self.pattern.split(text):
            if part in self.verbatim:
                ids.append(self.verbatim[part])
            elif part:
                ids += self.processor.encode(self.spaces.sub(" ", part) if self.saved else part)
        return ids + [1]


# Why ids differ: what has to be left out of a text for both to give the same ids.
KINDS = {
    "bytes": lambda text: text,
    "white space": lambda text: WHITE_SPACE.sub(" ", text),
    "marker": lambda text: text.replace("▁", " "),
    "spelled": lambda text: text.replace("＜", ""),
    "marks": lambda text: "".join(c for c in text if not unicodedata.category(c).startswith("M")),
}


def differences(tokenizer, model: bytes, texts: list[str], saved: bool) -> list[dict]:
    """The texts of which the engine's ids are not those of transformers."""
    expected = Expected(model, saved)
    without_bytes = Expected(model, saved, fallback=False)
    found = []
    for index, text in enumerate(texts):
        ids = expected.ids(text)
        if ids != tokenizer(text).input_ids:
            found.append({"prompt": index, "kinds": why(tokenizer, expected, without_bytes, text),
                          "ids": ids})
    return found


def why(tokenizer, expected: Expected, without_bytes: Expected, text: str) -> list[str]:
    """The fewest kinds that explain a difference."""
    for count in range(len(KINDS) + 1):
        for kinds in itertools.combinations(KINDS, count):
            changed = text
            for kind in kinds:
                changed = KINDS[kind](changed)
            engine = without_bytes if "bytes" in kinds else expected
            if engine.ids(changed) == tokenizer(changed).input_ids:
                return list(kinds)
    raise ValueError(f"a difference of no known kind: {text!r}")


def write(name: str, golden: dict):
    text = json.dumps(golden, ensure_ascii=True, separators=(",", ":"))
    (FOLDER / name).write_text(text.replace("],[", "],\n[") + "\n")


def main():
    FOLDER.mkdir(exist_ok=True)
    texts = prompts()
    cleaned = [text.lower().strip() for text in texts]
    golden = {"prompts": texts, "cleaned": cleaned, "models": {}, "differences": {}}
    pieces = {"strings": strings(), "models": {}}
    for name, options in MODELS.items():
        model = train(options)
        (FOLDER / f"{name}.model").write_bytes(model)
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        pieces["models"][name] = processor.encode(pieces["strings"][: STRINGS[name]])
        if name in COMPARED:
            compare(name, model, cleaned, golden)
    write("golden.json", golden)
    write("sentencepiece.json", pieces)


def compare(name: str, model: bytes, cleaned: list[str], golden: dict):
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = reference(pathlib.Path(folder), model)
        if name in SAVED:
            saved = pathlib.Path(folder, "tokenizer.json").read_bytes()
            (FOLDER / f"{name}.json").write_bytes(saved)
    golden["models"][name] = [tokenizer(text).input_ids for text in cleaned]
    golden["differences"][name] = differences(tokenizer, model, cleaned, saved=False)
    if name in SAVED:
        golden["differences"][name + ".json"] = differences(tokenizer, model, cleaned, saved=True)
    if name == "nfkc":
        golden["padded_prompt"] = prompt = "a red house under a full moon"
        golden["padded"] = {}
        for length in (1, 2, 5, 11, 12, 13, 40):
            padded = tokenizer(prompt, padding="max_length", max_length=length, truncation=True)
            golden["padded"][length] = [padded.input_ids, padded.attention_mask]


if __name__ == "__main__":
    main()
