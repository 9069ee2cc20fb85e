"""The folder `penstock deploy` writes: what is in it, and its checksums."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from string import Template
from typing import Any

import penstock.host
import penstock.program
from penstock.cli.errors import InputError
from penstock.host.vectors import Vectors
from penstock.program.network.package import Package

HOST = Path(penstock.host.__path__[0])
PROGRAM = Path(penstock.program.__path__[0])

#: Modules of penstock.program that neither the driver nor the simulated board imports.
NOT_DEPLOYED = {
    "base/files.py",
    "base/folder.py",
    "core/checks.py",
    "core/hardware.py",
    "core/hls_timing.py",
    "core/pins.py",
    "core/sigmoid.py",
    "generate/__init__.py",
    "generate/cplusplus.py",
    "generate/systemverilog.py",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contents:
    """What goes into a bundle; `bitstream` is (.bit, .hwh) or None."""

    board: Any
    package: Package
    vectors: Vectors
    bitstream: tuple[Path, Path] | None


#: `penstock/__init__.py` of the folder.  It comes before an installed Penstock, whose other parts
#: stay importable: the simulated board's, say.
PACKAGE = '''"""The board's part of Penstock."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
'''


def read_bitstream(bit: Path) -> tuple[Path, Path]:
    """The `.bit` and the `.hwh` beside it; InputError if one is missing."""
    files = bit, bit.with_suffix(".hwh")
    for path in files:
        if not path.is_file():
            raise InputError(f"cannot read {path}: no such file", hint="both come from Vivado")
    return files


def write_bundle(folder: Path, contents: Contents) -> None:
    """Fill an empty folder."""
    contents.package.save(folder / "net.pspkg")
    contents.vectors.save(folder / "vectors.npz")
    # A package of its own: of the folders on the path, this one is then the only `penstock`.
    (folder / "penstock").mkdir()
    (folder / "penstock" / "__init__.py").write_text(PACKAGE, encoding="utf-8")
    _copy_python(HOST, folder / "penstock" / "host")
    _copy_python(PROGRAM, folder / "penstock" / "program")
    for notebook in sorted((HOST / "notebooks").glob("*.ipynb")):
        shutil.copyfile(notebook, folder / notebook.name)
    (folder / "bitstream").mkdir()
    for path in contents.bitstream or ():
        shutil.copyfile(path, folder / "bitstream" / f"penstock{path.suffix}")
    config = contents.package.config
    facts = {
        "board": contents.board.name,
        "title": contents.board.title,
        "pynq": contents.board.pynq,
        "network": contents.package.meta["network"],
        "config": config.name,
        "config_hash": f"{config.hash:#010x}",
        "images": len(contents.vectors),
    }
    (folder / "deploy.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    template = Template((HOST / "deploy_readme.md").read_text(encoding="utf-8"))
    (folder / "README.md").write_text(template.substitute(facts), encoding="utf-8")
    (folder / "SHA256SUMS").write_text(_checksums(folder), encoding="utf-8")


def _copy_python(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*.py")):
        name = path.relative_to(source)
        if name.as_posix() not in NOT_DEPLOYED:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / name)


def _checksums(folder: Path) -> str:
    """In the format of sha256sum --check."""
    lines = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f"{digest}  {path.relative_to(folder).as_posix()}\n")
    return "".join(lines)
