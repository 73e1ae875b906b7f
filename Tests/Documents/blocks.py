"""The code blocks of Markdown files, and what is to be done with each.

A block is a fence with a language. Its kind stands in a comment on the line before the fence, which
readers do not see: <!-- block: KIND NAME -->. Without one, the language is the kind.

    sh             shell commands
    python         a Python program
    save NAME      a file of that name, for the blocks behind it
    merge NAME     JSON, whose keys go into the file of that name
    same NAME      word for word a block of that other Markdown file, which is where it is run
    network        shell commands that download
    long           `make` with targets that take long
    training       shell commands of the training kit
    text           no program but a layout, or what a program prints
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

#: The languages of each kind; None for any.
KINDS: dict[str, set[str] | None] = {
    "sh": {"sh"},
    "python": {"python"},
    "save": None,
    "merge": {"json"},
    "same": None,
    "network": {"sh"},
    "long": {"sh"},
    "training": {"sh"},
    "text": {"text"},
}
NAMED = ("save", "merge", "same")
#: Commands that only blocks of these kinds may have.
RESERVED = {"network": r"\b(hf|curl|wget|git clone)\b", "training": r"\bsparsedit_training\b"}
#: Folders of what was built, installed or fetched.
_BUILT = ("build", "dist", ".build", ".git")


class Failure(Exception):
    """What is wrong, with its place."""


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    place: str
    language: str
    kind: str
    name: str
    text: str


def markdown_files(root: Path) -> list[Path]:
    """All Markdown files of the repository."""
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(_BUILT)]
        found += [Path(folder, name) for name in files if name.endswith(".md")]
    return sorted(found)


def blocks(text: str, file: str) -> list[Block]:
    """The blocks of a text. Whatever would not be run in silence is an error."""
    found: list[Block] = []
    lines = text.split("\n")
    mark: tuple[str, str] | None = None
    number = 0
    while number < len(lines):
        line, place = lines[number], f"{file}:{number + 1}"
        number += 1
        if match := re.fullmatch(r"<!-- block: (\w+) ?(\S*) -->", line):
            mark = (match[1], match[2])
        elif match := re.fullmatch(r"( *)(`{3,}|~{3,})(.*)", line):
            indent, fence, language = match[1], match[2], match[3].strip()
            start = number
            while number < len(lines) and lines[number].strip() != fence:
                number += 1
            if number == len(lines):
                raise Failure(f"{place}: the code block has no end")
            body = "".join(part.removeprefix(indent) + "\n" for part in lines[start:number])
            kind, name = mark or (language, "")
            found.append(_checked(Block(place, language, kind, name, body)))
            mark, number = None, number + 1
        elif mark:
            raise Failure(f"{place}: a code block must follow the mark in the line before")
        elif re.match(r" {4}|\t", line) and _is_code(lines, number - 1):
            raise Failure(f"{place}: indented code; use a fence with a language")
    if mark:
        raise Failure(f"{file}: a code block must follow the last mark")
    return found


def _is_code(lines: list[str], index: int) -> bool:
    """Whether an indented line is code: behind an empty line, and not part of an item of a list."""
    if index == 0 or lines[index - 1].strip():
        return False
    for line in reversed(lines[:index]):
        if line.strip() and not line.startswith(" "):
            return not re.match(r"([-*+]|\d+[.)]) ", line)
    return True


def _checked(block: Block) -> Block:
    """The block, if its kind, language and name fit together."""
    if block.kind not in KINDS:
        raise Failure(
            f"{block.place}: a block of kind {block.kind or '(no language)'!r} is run by nothing; write"
            f" <!-- block: KIND --> before it, with a kind of {', '.join(KINDS)}"
        )
    languages = KINDS[block.kind]
    if not block.language or (languages is not None and block.language not in languages):
        raise Failure(f"{block.place}: {block.language!r} is no language of the kind {block.kind}")
    if (block.kind in NAMED) != bool(block.name):
        raise Failure(f"{block.place}: a name must stand behind {', '.join(NAMED)}, and only there")
    for kind, pattern in RESERVED.items():
        if block.language == "sh" and block.kind != kind and re.search(pattern, block.text):
            raise Failure(f"{block.place}: these commands need the mark <!-- block: {kind} -->")
    return block
