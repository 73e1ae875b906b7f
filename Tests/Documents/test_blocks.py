"""What the reader of Markdown finds, and what it refuses."""

import pytest
from blocks import Failure, blocks, markdown_files

FENCE = "```"


def text(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def test_kinds_names_and_places():
    found = blocks(
        text(
            "# Title", "", f"{FENCE}sh", "echo one", "echo two", FENCE, "", "<!-- block: save a/b.c -->",
            f"{FENCE}c", "int x;", "", FENCE, "- item", "", f"  {FENCE}python", "  if x:", "    y()", f"  {FENCE}",
            "", "    continues the item", "", "<!-- block: network -->", f"{FENCE}sh", "hf download a/b", FENCE,
        ),
        "a.md",
    )
    assert [(b.kind, b.language, b.name) for b in found] == [
        ("sh", "sh", ""), ("save", "c", "a/b.c"), ("python", "python", ""), ("network", "sh", ""),
    ]
    assert [b.place for b in found] == ["a.md:3", "a.md:9", "a.md:15", "a.md:23"]
    assert [b.text for b in found[:3]] == ["echo one\necho two\n", "int x;\n\n", "if x:\n  y()\n"]


@pytest.mark.parametrize(
    "lines, said",
    [
        ([FENCE, "make", FENCE], "a.md:1: a block of kind '(no language)' is run by nothing"),
        ([f"{FENCE}c", "int x;", FENCE], "a block of kind 'c' is run by nothing"),
        ([f"{FENCE}text", "x"], "a.md:1: the code block has no end"),
        (["text", "", "    make"], "a.md:3: indented code"),
        (["- item", "", "text", "", "    make"], "a.md:5: indented code"),
        (["<!-- block: save -->", f"{FENCE}c", FENCE], "a name must stand behind save, merge"),
        (["<!-- block: long x -->", f"{FENCE}sh", FENCE], "a name must stand behind save, merge"),
        (["<!-- block: never -->", f"{FENCE}sh", FENCE], "'never' is run by nothing"),
        (["<!-- block: text -->", f"{FENCE}sh", FENCE], "'sh' is no language of the kind text"),
        (["<!-- block: save a.c -->", "", f"{FENCE}c", FENCE], "a.md:2: a code block must follow"),
        (["<!-- block: long -->"], "a code block must follow"),
        ([f"{FENCE}sh", "hf download a/b", FENCE], "need the mark <!-- block: network -->"),
        ([f"{FENCE}sh", "python -m sparsedit_training.train", FENCE], "need the mark <!-- block: training -->"),
    ],
)
def test_refuses_what_nothing_would_run(lines, said):
    with pytest.raises(Failure) as failure:
        blocks(text(*lines), "a.md")
    assert said in str(failure.value)


def test_walks_into_every_folder(tmp_path):
    for name in ("a.md", "docs/b.md", "x/y/z.md", ".build/c.md", "build/d.md", ".build-python/e.md", "f.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    found = [str(path.relative_to(tmp_path)) for path in markdown_files(tmp_path)]
    assert found == ["a.md", "docs/b.md", "x/y/z.md"]
