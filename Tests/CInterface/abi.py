#!/usr/bin/env python3
"""Prints the binary interface that sparsedit.h declares: functions, values, sizes and offsets.

The record is committed as include/sparsedit.abi; `make abi-check` compares, so that a change of the
interface is a deliberate one. Layouts come from the C compiler, not from this script; the header's
text only says which types, fields and values there are.

usage: abi.py [HEADER] [--functions | --structures]
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HEADER = Path(__file__).resolve().parents[2] / "include" / "sparsedit.h"


def declarations(header: Path) -> str:
    """The header without comments and with single spaces."""
    text = re.sub(r"/\*.*?\*/", " ", header.read_text(), flags=re.S)
    return re.sub(r"[ \t]+", " ", text)


def functions(text: str) -> dict[str, str]:
    """Name and prototype of each exported function."""
    found = re.findall(r"^((?:const )?\w+ \*?(sparsedit_\w+)\([^;]*\));", text, flags=re.M)
    return {name: re.sub(r"\s+", " ", prototype) for prototype, name in found}


def callbacks(text: str) -> list[str]:
    found = re.findall(r"^typedef \w+ \(\*sparsedit_\w+\)\([^;]*\);", text, flags=re.M)
    return [re.sub(r"\s+", " ", callback) for callback in found]


def structures(text: str) -> dict[str, list[str]]:
    """Field names of each structure, in order."""
    bodies = re.findall(r"typedef struct (\w+) \{(.*?)\} \w+;", text, flags=re.S)
    return {name: re.findall(r"(\w+);", body) for name, body in bodies}


def constants(text: str) -> list[str]:
    enumerators = re.findall(r"^ (SPARSEDIT_\w+) =", text, flags=re.M)
    return re.findall(r"^#define (SPARSEDIT_\w+) \d+", text, flags=re.M) + enumerators


def layout(header: Path, text: str) -> str:
    """Asks the compiler for sizes, offsets and values."""
    lines = []
    for name, fields in structures(text).items():
        lines.append(f'printf("struct {name}: %zu bytes\\n", sizeof(struct {name}));')
        for field in fields:
            place = f"offsetof(struct {name}, {field}), sizeof(((struct {name} *)0)->{field})"
            lines.append(f'printf("  {field}: at %zu, %zu bytes\\n", {place});')
    for name in constants(text):
        lines.append(f'printf("{name} = %d\\n", (int){name});')
    body = "\n  ".join(lines)
    program = f'#include <stdio.h>\n#include "{header}"\nint main(void) {{\n  {body}\n  return 0;\n}}\n'
    with tempfile.TemporaryDirectory() as folder:
        source, binary = Path(folder) / "layout.c", Path(folder) / "layout"
        source.write_text(program)
        subprocess.run([os.environ.get("CC", "clang"), "-o", binary, source], check=True)
        return subprocess.run([binary], check=True, capture_output=True, text=True).stdout


def main() -> None:
    options = [argument for argument in sys.argv[1:] if argument.startswith("--")]
    paths = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    header = Path(paths[0]).resolve() if paths else HEADER
    text = declarations(header)
    if "--functions" in options:
        print("\n".join(sorted(functions(text))))
    elif "--structures" in options:
        print(layout(header, text), end="")
    else:
        print("\n".join(functions(text)[name] for name in sorted(functions(text))))
        print("\n".join(callbacks(text)))
        print(layout(header, text), end="")


if __name__ == "__main__":
    main()
