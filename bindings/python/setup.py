"""Puts libsparsedit into the package when the repository has built it (`make lib`)."""

import shutil
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

LIBRARY = Path(__file__).resolve().parents[2] / "build" / "libsparsedit.so.1"


class BuildWithLibrary(build_py):
    def run(self) -> None:
        super().run()
        if LIBRARY.is_file():
            shutil.copy2(LIBRARY, Path(self.build_lib) / "sparsedit" / LIBRARY.name)


class WheelWithLibrary(bdist_wheel):
    """Any Python 3, but only this kind of machine."""

    def get_tag(self) -> tuple[str, str, str]:
        python, abi, platform = super().get_tag()
        return (python, abi, platform) if self.root_is_pure else ("py3", "none", platform)


class DistributionWithLibrary(Distribution):
    """With the library in it, what is installed belongs to the folder for this kind of machine."""

    def has_ext_modules(self) -> bool:
        return LIBRARY.is_file()


setup(
    distclass=DistributionWithLibrary,
    cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": WheelWithLibrary},
)
