"""Maps the top-level folders to the namespace package `penstock`; all else is pyproject.toml."""

from setuptools import find_namespace_packages, setup

#: Folder at the top of the repository -> penstock.<folder>.  `rtl` carries SystemVerilog only.
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
    package_dir={f"penstock.{folder}": folder for folder in FOLDERS},
    packages=[
        f"penstock.{package}"
        for folder in FOLDERS
        for package in (folder, *(f"{folder}.{sub}" for sub in find_namespace_packages(folder)))
        if "__pycache__" not in package
    ],
)
