"""Writes Sources/SparseDiT/Prompt/Cleaning/Tables: what the cleaning of captions knows of characters.

    python Tests/Golden/make_caption_tables.py

Needs Python 3.11 (Unicode 14) and ftfy 6.3.1. A rerun gives the same files. Everything but one table
comes from Python's standard library: HTML5's character references, code pages, Unicode's canonical
decompositions, full-width and half-width forms. The classes of characters that occur in mojibake are
those that ftfy publishes (`ftfy.badness.MOJIBAKE_CATEGORIES`, `ftfy.chardata.UTF8_CLUES`).
"""

import html.entities
import pathlib
import re
import textwrap
import unicodedata

import ftfy.badness
import ftfy.chardata

FOLDER = pathlib.Path(__file__).parents[2] / "Sources/SparseDiT/Prompt/Cleaning/Tables"

PAGES = [
    "windows-1252", "windows-1251", "windows-1250", "windows-1253", "windows-1254", "windows-1257",
    "iso-8859-2", "macroman", "cp437",
]  # fmt: skip


def write(name, comment, tokens):
    """A Swift file with a table as words of one text."""
    lines = textwrap.wrap(" ".join(tokens), 96, break_long_words=False, break_on_hyphens=False)
    text = [f"/// {line}" for line in textwrap.wrap(comment, 96)]
    text += ["///", "/// Written by Tests/Golden/make_caption_tables.py."]
    text += [f"let {name[0].lower()}{name[1:]} = ", '  """']
    text[-2] = text[-2].rstrip()
    text += [f"  {line}" for line in lines] + ['  """', ""]
    (FOLDER / f"{name}.swift").write_text("\n".join(text), encoding="utf-8")


def codes(text):
    return ",".join(f"{ord(character):x}" for character in text)


def ranges(characters):
    """`a0 c0-d1`: ranges of code points."""
    found = []
    for code in sorted(map(ord, set(characters))):
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return [f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in found]


def character_references():
    names = html.entities.html5
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9]+;?", name) and names[name.rstrip(";") + ";"] == names[name]
    for name in sorted(names):
        if name.endswith(";"):
            yield f"{name[:-1]}{':' if name[:-1] in names else '='}{codes(names[name])}"


def code_pages():
    for page in PAGES:
        for byte in range(0x80, 0x100):
            try:
                yield f"{ord(bytes([byte]).decode(page)):x}"
            except UnicodeDecodeError:
                yield "-"


def decompositions():
    for code in range(0x110000):
        mapping = unicodedata.decomposition(chr(code))
        if mapping and not mapping.startswith("<"):
            parts = [chr(int(part, 16)) for part in mapping.split()]
            composes = len(parts) == 2 and unicodedata.normalize("NFC", "".join(parts)) == chr(code)
            yield f"{code:x}{'=' if composes else ':'}{codes(parts)}"


def widths():
    for code in range(0xFF01, 0xFFF0):
        plain = unicodedata.normalize("NFKC", chr(code))
        if plain != chr(code):
            yield f"{code:x}={codes(plain)}"


def mojibake_classes():
    classes = {**ftfy.badness.MOJIBAKE_CATEGORIES, **ftfy.chardata.UTF8_CLUES}
    for name, members in classes.items():
        pattern = re.compile(f"[{members}]")
        words = name.split("_")
        yield words[0] + "".join(word.capitalize() for word in words[1:]) + ":"
        yield from ranges(chr(code) for code in range(0x10000) if pattern.match(chr(code)))


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    write(
        "CharacterReferenceTable",
        "HTML5's named character references: name, `=` or, where the semicolon may be missing, `:`,"
        " and the code points that it stands for.",
        character_references())  # fmt: skip
    write(
        "CodePageTable",
        "What the bytes 80 to FF stand for in " + ", ".join(PAGES)
        + ", in this order, 128 code points each; `-` where nothing is assigned.",
        code_pages())  # fmt: skip
    write(
        "DecompositionTable",
        f"Canonical decompositions, one step each, of Unicode {unicodedata.unidata_version}: code"
        " point, `=` where composition leads back to it, else `:`, and one or two code points. Hangul"
        " syllables are left out.",
        decompositions())  # fmt: skip
    write(
        "WidthTable",
        "Full-width and half-width forms and the code points of their usual form.",
        widths())  # fmt: skip
    write(
        "MojibakeTable",
        "Classes of the characters that occur in mojibake, as ftfy publishes them: a name and the"
        " ranges of code points in it.",
        mojibake_classes())  # fmt: skip


if __name__ == "__main__":
    main()
