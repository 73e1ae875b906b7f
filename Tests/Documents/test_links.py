"""Every link from one file of the repository to another leads somewhere."""

import re
from pathlib import Path

from blocks import markdown_files

ROOT = Path(__file__).resolve().parents[2]


def anchors(file: Path) -> set[str]:
    """The anchors of a file's headings, as GitHub makes them: lower case, "-" for spaces, no punctuation."""
    headings = re.findall(r"^#+ +(.+?) *$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere():
    wrong, count = [], 0
    for file in markdown_files(ROOT):
        # Code may have brackets before parentheses.
        text = re.sub(r"^```.*?^```|`[^`\n]*`", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", link):
                continue
            count += 1
            path, _, anchor = link.partition("#")
            target = (file.parent / path).resolve() if path else file
            if not target.exists() or (anchor and anchor not in anchors(target)):
                wrong.append(f"{file.relative_to(ROOT)}: {link}")
    assert not wrong, wrong
    assert count > 40  # the pattern still finds them
