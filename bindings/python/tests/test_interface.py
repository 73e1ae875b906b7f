"""The ctypes declarations against the header, by way of the C compiler."""

import ctypes
import subprocess
import sys

from conftest import ROOT
from sparsedit import _interface
from sparsedit._library import library

RECORD = ROOT / "Tests" / "CInterface" / "abi.py"


def record(option: str) -> list[str]:
    command = [sys.executable, str(RECORD), option]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def test_every_function_is_declared():
    declared = {f"sparsedit_{name}" for name in _interface.SIGNATURES}
    assert declared == set(record("--functions"))


def test_structures_have_the_compilers_layout():
    ours = []
    for name, structure in _interface.STRUCTURES.items():
        ours.append(f"struct {name}: {ctypes.sizeof(structure)} bytes")
        for field, _ in structure._fields_:
            place = getattr(structure, field)
            ours.append(f"  {field}: at {place.offset}, {place.size} bytes")
    theirs = [line for line in record("--structures") if not line.startswith("SPARSEDIT_")]
    assert ours == theirs


def test_library_has_this_interface():
    assert library().abi_version() == _interface.ABI_VERSION
    assert library().status_name(5) == b"out of memory"
