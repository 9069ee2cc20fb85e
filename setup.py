"""Maps the top-level folders into the package `penstock`; all else is pyproject.toml."""

from setuptools import find_namespace_packages, setup

#: Folder at the top of the repository -> penstock.<folder>.  `rtl` carries SystemVerilog only.
#: The folder `penstock` is the package itself: the Python door.
FOLDERS = (
    "program",
    "model",
    "compiler",
    "hls",
    "sim",
    "rtl",
    "host",
    "boards",
    "cli",
    "bench",
    "formal",
)

setup(
    package_dir={"penstock": "penstock"} | {f"penstock.{folder}": folder for folder in FOLDERS},
    packages=["penstock"]
    + [
        f"penstock.{package}"
        for folder in FOLDERS
        for package in (folder, *(f"{folder}.{sub}" for sub in find_namespace_packages(folder)))
        if "__pycache__" not in package
    ],
)
