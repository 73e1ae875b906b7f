"""The two packages of the distribution: what imports what."""

import ast
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

SOURCE = ROOT / "bindings" / "python"
PACKAGES = ("sparsedit", "sparsedit_training")


def modules() -> dict[str, Path]:
    """Every module of both packages by its full name."""
    found = {}
    for package in PACKAGES:
        for file in sorted((SOURCE / package).rglob("*.py")):
            name = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = file
    return found


def imports(name: str, file: Path, known: set[str]) -> set[str]:
    """The full names of all modules that a module imports, also of those that a function imports when
    it runs. ``from package import name`` imports the module of that name where it is a known one."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            names = {f"{source}.{alias.name}" for alias in node.names}
            found |= names & known | ({source} if names - known else set())
    return found


def test_there_is_no_circle_of_imports():
    """Removes modules that import none of those that are left; a circle is what remains."""
    known = modules()
    left = {name: imports(name, file, set(known)) & known.keys() - {name} for name, file in known.items()}
    assert any(left.values())
    while free := [name for name, needed in left.items() if not needed & left.keys()]:
        for name in free:
            del left[name]
    assert not left, f"these import each other: {sorted(left)}"


def test_the_packages_stand_alone():
    known = modules()
    for name, file in known.items():
        other = next(package for package in PACKAGES if package != name.split(".")[0])
        assert not any(found.split(".")[0] == other for found in imports(name, file, set(known))), name


def test_drawing_needs_numpy_only():
    """A process that imports the package has none of what the training kit needs."""
    program = (
        "import sys, sparsedit\n"
        "for name in ('torch', 'safetensors', 'matplotlib', 'PIL', 'sparsedit_training'):\n"
        "    assert name not in sys.modules, name\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
