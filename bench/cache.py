"""Rows that were measured already, by everything that decides them: interrupted runs resume."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from penstock.bench.figures import ROOT
from penstock.bench.rows.cases import Case
from penstock.bench.rows.measure import Measured

#: What a row depends on: the core, its harness, golden, the compiler and the benchmark.
SOURCES = (
    "rtl/**/*.sv",
    "program/**/*.py",
    "compiler/**/*.py",
    "sim/golden/*.py",
    "sim/rtl/*",
    "bench/rows/forced.py",
    "bench/rows/measure.py",
    "bench/rows/networks.py",
    "model/**/*.py",
)


def source_hash(root: Path = ROOT) -> str:
    """A digest of the names and bytes of every file in SOURCES."""
    digest = hashlib.sha256()
    paths = {path for pattern in SOURCES for path in root.glob(pattern) if path.is_file()}
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


class Cache:
    """Measured rows in a folder, one JSON file each."""

    def __init__(self, folder: Path, sources: str, inputs: Sequence[str] = ()) -> None:
        self._folder = folder
        self._key = "\0".join([sources, *inputs])

    def _path(self, case: Case) -> Path:
        text = json.dumps(dataclasses.asdict(case), sort_keys=True) + self._key
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.json"

    def get(self, case: Case) -> Measured | None:
        """The row of a case, or None."""
        path = self._path(case)
        return Measured(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None

    def put(self, case: Case, measured: Measured) -> None:
        """Keep a row."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(case)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(dataclasses.asdict(measured)), encoding="utf-8")
        part.replace(path)
