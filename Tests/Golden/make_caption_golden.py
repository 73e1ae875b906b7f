"""Writes Tests/Golden/captions/captions.json: what diffusers makes of a few thousand captions when
`clean_caption` is on and its optional packages are installed.

    python Tests/Golden/make_caption_golden.py

Made with Python 3.11, diffusers 0.42.0 (its own `_clean_caption`, taken from its source so that torch is
not needed), ftfy 6.3.1 and beautifulsoup4 4.15.0. The strings are drawn below from words and pieces of
ours; a rerun with the same versions gives the same file.

captions.json: {"cleaned": {kind: [[caption, what diffusers makes of it by cleaning it twice]]},
                "text": [[HTML, BeautifulSoup(HTML, "html.parser").text]],
                "repaired": [[text, ftfy.fix_text(text)]]}
"""

import ast
import html
import html.entities
import importlib.util
import json
import pathlib
import random
import re
import urllib.parse
import warnings

import ftfy
from bs4 import BeautifulSoup

ROOT = pathlib.Path(__file__).parent
COUNT = 220

PROMPTS = """
A small cactus with a happy face in the Sahara desert.
a red house on a green hill, oil painting, (masterpiece), [best quality]
portrait of an old sailor / weathered skin / dramatic light,close-up
Beautiful scene, 4k, 8K UHD, f/1.8, 35mm photo -- no people
three cats:one black,one white ,one grey
A "neon" sign that says 'OPEN 24/7' & a cup of coffee
isometric voxel city, unreal engine 5.2, 1920x1080
Dall-e style, low-poly, semi-realistic, ultra-wide, sci-fi, retro-futuristic city
knight_in_shining_armor_on_a_white_horse
"A quiet library"
an astronaut riding a horse... on the moon!
a map of the old town, page 12, 50 % grey, 10:30 in the morning
L'été à la plage, façon Monet ; un château sur la colline
Ein süßer Dackel läuft über die Straße, Öl auf Leinwand
株式会社の看板 in Tokyo, 夜景, rainy street
Портрет девушки в стиле модерн
""".strip().splitlines()
SUBJECTS = "a cat|an old house|two robots|the harbour|a bowl of fruit|a lighthouse|my aunt's dog|a queen".split("|")
PLACES = "in the snow|under water|on Mars|at night|by the sea|in a forest|on a table|in Paris, France".split("|")
STYLES = (
    "oil painting|pixel art|(best quality:1.2)|8k|HDR|35mm|soft light|trending on artstation|Studio Ghibli|"
    "no text/no watermark|--ar 16:9|[sketch]|{vivid}|by H. R. Giger|art-deco|watercolour|cinematic|$5 style|c++|#art"
).split("|")

WORDS = (
    "a red house cat café naïve über señor piñata Zürich Ελλάδα Москва слово déjà vu 한국어 “quoted” ‘single’ "
    "— – … € £ ½ ² ³ ° © ® ™ • œuvre Œ ĳ ﬁ ﬂ ﬀ ＡＢＣ １２ ﾀｰ ﾞ × х 5x5 3.5x4.5 1920x1080 12x34.5cm jpg image "
    "png images pdf abc123 jc6640 jc6640vc 6640vc231 j2d1a2a click for more page 12 free shipping worldwide "
    "download @nick #123 #12345 #1234 123456 1234567 file.png a.b.jpeg 10.0.0.1 255.255.255.255.1 12:34 3:45 . "
    ".. ... , ; : - _ -- a-b-c-d-e a_b_c_d '' \"\" \" ' `x` ´ « » ¨ ¿que? ¡hola! ~ * ** | / \\ \\n [x] (y) {z} "
    "<person> &amp; &quot; &lt;b&gt; &eacute; &#233; &amp;amp; à la mode voilà às quel Ångström façade Straße "
    "ÀÉÎÕÜ àéîõü ă Ş ț ğ İ ı Σ ς ΟΔΟΣ 😀 👩‍👩‍👧 é ữ ṩ 각 क़ ﬡ Å ； ＜ ＆ ＃ + c++ %20 %C3%A9 %ff %E2%82"
).split() + [
    "e\u0302\u0323", "\u1100\u1161\u11a8", "\u3000", "\u200b", "\ufeff", "\x85", "\u2028", "\r\n", "\r", "\n", "\t",
    "\x0b", "\x1b[31m", "\x1c", "\x00", "\x7f", "\x1a", "\ufffd", "\u212b", "\u2126",
]  # fmt: skip

PAGES = ["latin-1", "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257", "iso-8859-2", "mac_roman", "cp437"]
FOREIGN = (
    "café “quoted” it’s — … é à ü ñ ß Ørsted œuvre naïve Łódź Příliš žluťoučký Ελληνικά καλημέρα Привет мир "
    "данные שלום العربية हिन्दी ไทย 日本語 한국어 😀 ✔ € £ ½ ™ İstanbul ağaç ž š č ķ ģ à la"
).split()
MOJIBAKE = (
    "ÂÃÄÅÐÎØÙàáâãåæçðóÀ€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ\xa0¡¢£¤¥¦§¨©ª«¬\xad®¯°±²³´µ¶·¸¹º»¼½¾¿×÷ВГРСвЂўГβ€ΒΓΞΟā√∂≠≤≥π∫Ωø≈∆"
    "│┤┐└┴┬├─┼╣║╗╝▀▄█▌▐░▒▓ÄÖÜäöüßéèêëíìîïñòôõùûúýÿ\x80\x81\x8d\x9d\x99?\ufffd aZ9 .,!"
)

TAGS = [
    "<b>", "</b>", "<br>", "<br/>", "</br>", "<p>", "</p>", "<script>", "</script>", "<style>", "</style >", "<pre>",
    "</pre>", "<textarea>", "</textarea>", "<rt>", "</rt>", "<template>", "</template>", "<!-- c -->", "<!--", "-->",
    "--!>", "<!doctype html>", "<!DOCTYPE", "<?php ?>", "<?", "<!x>", "<![CDATA[x]]>", "<![CDATA[", "]]>",
    "<![if x]>", "<![endif]>", "<a href='x'>", '<a href="y>z">', "<a b=c/>", "<a b = 'c", "<a b=='c d>",
    '<a b="c"d=e>', "<a/ /b>", "<a =b>", "<a 'b'>", "<a\0b>", "<img src=x alt='q'/>", "</", "</>", "</ b>", "</b x>",
    "<", "<<", ">", "< b>", "<1", "<a", "<a ", "<a/", "</a", "&", "&a", "&ab", "&ab-", "&a.b", "&lt", "&lt;", "&LT;",
    "&foo;", "&amp", "&#", "&#;", "&#x;", "&#65", "&#65;", "&#65a", "&#x41;", "&#x41g", "&#128;", "&#129;", "&#0;",
    "&#xD800;", "&#1114112;", "&#xfffe;", "&#1;", "&#160;", "&nbsp;", "&notit;", "'", '"', "=", " ", "  ", "\n", "\t",
    "/", "x", "text", "</script", "<SCRIPT>", "]", "-", "\x0b", "\xa0", "\u3000",
]  # fmt: skip
ENTITIES = sorted(html.entities.html5)
ADDRESSES = [
    "http", "https", "www", ":", "/", "//", "///", ".", ".com", ".co", ".ru", ".net", ".org", ".it", "a", "b1", "-",
    "_", "é", "@", " ", "%", "x/y", "?", "=", "..", "com", "-a", "/-", "Я", "http://example.com/a-b", "www.site.edu",
    "me@mail.org",
]  # fmt: skip
MARKS = "ab12x._- .,/:'\"-+@%#&<>;()х×éd9\n"
IDEOGRAPHS = (
    "東京日本語中文字漢㇀㇯ㇰㇿ㈀㋿㌀㏿㐀䶿䷀䷿一鿿ー〜〰゠︱︲﹘﹣－、。「」！？あいうアイウ가나다ﾀﾁ１２ＡＢ　·"
)


def cleaner():
    """The method `_clean_caption` of diffusers' pipeline, without importing the pipeline."""
    package = pathlib.Path(importlib.util.find_spec("diffusers").origin).parent
    path = package / "pipelines/pixart_alpha/pipeline_pixart_alpha.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    pipeline = next(node for node in tree.body if getattr(node, "name", "") == "PixArtAlphaPipeline")
    members = [
        node for node in pipeline.body
        if getattr(node, "name", "") == "_clean_caption"
        or isinstance(node, ast.Assign) and node.targets[0].id == "bad_punct_regex"
    ]  # fmt: skip
    shell = ast.ClassDef(name="Cleaner", bases=[], keywords=[], body=members, decorator_list=[])
    module = ast.fix_missing_locations(ast.Module(body=[shell], type_ignores=[]))
    names = {"re": re, "html": html, "ul": urllib.parse, "ftfy": ftfy, "BeautifulSoup": BeautifulSoup}
    exec(compile(module, str(path), "exec"), names)
    clean = names["Cleaner"]()._clean_caption
    return lambda caption: clean(clean(caption))


def words(rng, most=10):
    between = rng.choice([" ", " ", "", ", ", "\n"])
    return between.join(rng.choice(WORDS) for _ in range(rng.randint(1, most)))


def some(rng, pieces, most):
    return "".join(rng.choice(pieces) for _ in range(rng.randint(1, most)))


def decoded(rng, text, page):
    """UTF-8 read in a code page; what stands for nothing as a control character or as lost."""
    characters = []
    for byte in text.encode():
        try:
            characters.append(bytes([byte]).decode(page))
        except UnicodeDecodeError:
            characters.append(chr(byte) if rng.random() < 0.7 else "\ufffd")
    return "".join(characters)


def mojibake(rng):
    if rng.random() < 0.25:
        return some(rng, MOJIBAKE, 14)
    text = " ".join(rng.choice(FOREIGN if rng.random() < 0.8 else WORDS) for _ in range(rng.randint(1, 6)))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        text = decoded(rng, text, rng.choice(PAGES))
    if rng.random() < 0.3:
        text = text.replace("\xa0", " ")
    if rng.random() < 0.2:
        text = f"{rng.choice(WORDS)} {text}{rng.choice(['', ' ', ' —“'])}{rng.choice(WORDS)}"
    if rng.random() < 0.05:
        text = text.replace("\x9d", "\ufffd").replace("\x81", "?")
    return text


def markup(rng):
    return "".join(rng.choice(TAGS if rng.random() < 0.8 else WORDS) for _ in range(rng.randint(1, 12)))


def entities(rng):
    text = ""
    for _ in range(rng.randint(1, 5)):
        name = rng.choice(ENTITIES)
        kind = rng.random()
        if kind < 0.3:
            name = name.rstrip(";")
        elif 0.5 < kind < 0.6:
            name = name[: rng.randint(1, len(name))]
        elif kind > 0.8:
            name = name.upper()
        text += rng.choice(["&", "&", "&", "&amp;", "＆", "&amp;amp;"]) + name
        text += rng.choice(["", " ", "x", ";", "=", "é", "&", "#"])
        if kind > 0.9:
            text += f"&#{rng.randint(0, 0x3000)};"
    return text


def prompt(rng):
    parts = [f"{rng.choice(SUBJECTS)} {rng.choice(PLACES)}", *rng.sample(STYLES, rng.randint(1, 5))]
    return rng.choice([", ", ",", " ", " | ", "; "]).join(parts)


KINDS = {
    "mojibake": mojibake,
    "html": markup,
    "entities": entities,
    "addresses": lambda rng: some(rng, ADDRESSES, 14),
    "ideographs": lambda rng: some(rng, [*IDEOGRAPHS, "photo of ", " ", "-", "a"], 16),
    "punctuation": lambda rng: some(rng, MARKS, 30),
    "words": words,
    "prompts": prompt,
}


def draw(make, seed, count=COUNT):
    """So many different strings."""
    rng = random.Random(seed)
    strings = {}
    while len(strings) < count:
        strings[make(rng)] = None
    return list(strings)


def main():
    warnings.simplefilter("ignore")  # Beautiful Soup thinks of captions that they look like addresses.
    clean = cleaner()
    captions = {kind: draw(make, kind) for kind, make in KINDS.items()}
    captions["prompts"] = PROMPTS + captions["prompts"]
    captions["mixed"] = draw(lambda rng: " ".join(rng.choice(list(KINDS.values()))(rng) for _ in range(2)), "mixed")
    documents = captions["html"] + captions["entities"]
    texts = captions["mojibake"] + captions["words"] + captions["entities"]
    golden = {
        "cleaned": {kind: [[text, clean(text)] for text in strings] for kind, strings in captions.items()},
        "text": [[text, BeautifulSoup(text, features="html.parser").text] for text in documents],
        "repaired": [[text, ftfy.fix_text(text)] for text in texts],
    }
    (ROOT / "captions").mkdir(exist_ok=True)
    # Escaped, since no editor keeps all of these characters as they are.
    text = json.dumps(golden, indent=0, ensure_ascii=True)
    (ROOT / "captions/captions.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
