"""Writes Tests/Golden/tokenizer: small SentencePiece models, and for a few hundred prompts the ids
that transformers' T5Tokenizer gives after the cleaning that diffusers' PixArt pipelines do without
bs4 and ftfy (`lower().strip()`).

    python Tests/Golden/make_tokenizer_golden.py

Made with transformers 5.23.0, tokenizers 0.23.3, sentencepiece 0.2.3, Python 3.11. The models are
trained on sentences drawn below; a rerun with the same versions gives the same files.

golden.json: {"prompts": [text], "cleaned": [text],
              "models": {name: [ids of each prompt, with the end-of-sequence id]},
              "padded": {"maxLength": [[ids], [mask]]} for the prompt `padded_prompt` of "nfkc"}
"""

import io
import json
import pathlib
import random
import shutil
import tempfile

import sentencepiece
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
}

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


def tokenizer(model: bytes) -> T5Tokenizer:
    folder = tempfile.mkdtemp()
    pathlib.Path(folder, "spiece.model").write_bytes(model)
    result = T5Tokenizer.from_pretrained(folder)
    shutil.rmtree(folder)
    return result


def main():
    FOLDER.mkdir(exist_ok=True)
    texts = prompts()
    cleaned = [text.lower().strip() for text in texts]
    golden = {"prompts": texts, "cleaned": cleaned, "models": {}}
    for name, options in MODELS.items():
        model = train(options)
        (FOLDER / f"{name}.model").write_bytes(model)
        reference = tokenizer(model)
        golden["models"][name] = [reference(text).input_ids for text in cleaned]
        if name == "nfkc":
            golden["padded_prompt"] = prompt = "a red house under a full moon"
            golden["padded"] = {}
            for length in (1, 2, 5, 11, 12, 13, 40):
                padded = reference(
                    prompt, padding="max_length", max_length=length, truncation=True
                )
                golden["padded"][length] = [padded.input_ids, padded.attention_mask]
    text = json.dumps(golden, ensure_ascii=True, separators=(",", ":"))
    (FOLDER / "golden.json").write_text(text.replace('],[', '],\n[') + "\n")


if __name__ == "__main__":
    main()
