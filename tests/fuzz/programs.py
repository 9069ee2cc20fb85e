"""Damaged program files and arrays: what `penstock disasm`, the driver and the command line read.

Program files keep a checksum that fits, or nothing but the checksum would be tested.
"""

import copy
import functools
import io
import random as stdlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from penstock.compiler.compiled import load
from penstock.compiler.disasm import listing
from penstock.compiler.estimate.report import build_report
from penstock.host.vectors import Vectors
from penstock.images import read_array
from penstock.program.core.descriptor import DESCRIPTOR_BYTES
from penstock.program.network.package import FORMAT_VERSION, HEADER, MAGIC, Package
from tests.fuzz.case import draw
from tests.fuzz.files import TEXTS, change_bytes

VALUES = (None, True, -1, 0, 1, 1 << 40, 1.5, 1e400, [], {}, *TEXTS)


def read(path: Path) -> None:
    """Read a file as its suffix says."""
    if path.suffix == ".pspkg":
        compiled = load(path)
        listing(compiled.package)
        build_report(compiled.package)
    elif path.suffix == ".npz":
        Vectors.load(path)
    else:
        read_array(path)


@functools.lru_cache
def package() -> Package:
    """A program with gates."""
    return next(
        case.network.package
        for case in map(draw, range(100))
        if len(case.network.package.meta["gates"]) > 1
    )


@functools.lru_cache
def arrays() -> dict[str, bytes]:
    """A valid array and a valid file of test vectors."""
    rng = np.random.default_rng(0)
    plain, packed = io.BytesIO(), io.BytesIO()
    np.save(plain, rng.random((3, 2, 4, 5), np.float32))
    fields = {"images": rng.random((3, 2, 4, 5), np.float32), "labels": np.arange(3)}
    np.savez_compressed(packed, **fields, results=rng.integers(0, 256, (3, 40), np.uint8))
    return {".npy": plain.getvalue(), ".npz": packed.getvalue()}


def write_damaged(seed: int, folder: Path) -> Path:
    """The file of a seed in `folder`."""
    random = stdlib.Random(f"program {seed}")
    suffix = random.choice((".pspkg", ".pspkg", ".npy", ".npz"))
    path = folder / f"file{suffix}"
    data = _program(random) if suffix == ".pspkg" else change_bytes(arrays()[suffix], random)
    path.write_bytes(data)
    return path


def _program(random: stdlib.Random) -> bytes:
    """Other metadata, descriptors or weights, and a checksum of them."""
    meta, descriptors = copy.deepcopy(package().meta), bytearray(package().descriptors)
    if random.random() < 0.7:
        for _ in range(random.choice((1, 1, 3))):
            _change(meta, random)
    else:
        at = random.randrange(len(descriptors))
        descriptors[at] = random.randrange(256)
        if random.random() < 0.3:
            del descriptors[-DESCRIPTOR_BYTES * random.randint(1, 3) :]
    changed = Package(
        config_hash=package().config_hash,
        descriptors=bytes(descriptors),
        weights=package().weights,
        meta=meta,
    )
    return changed.encode()


def _change(value: Any, random: stdlib.Random) -> None:
    """Replace, drop or double something in an object of JSON."""
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = random.choice(keys)
    if isinstance(value[key], (dict, list)) and value[key] and random.random() < 0.8:
        _change(value[key], random)
    elif random.random() < 0.2:
        del value[key]
    else:
        value[key] = random.choice(VALUES)


def with_metadata(text: bytes, folder: Path) -> Path:
    """A program file whose metadata is `text`, with a checksum that fits."""
    fields = (MAGIC, FORMAT_VERSION, package().config_hash, 0, 0, 0, len(text))
    checksum = zlib.crc32(HEADER.pack(*fields, 0) + text)
    path = folder / "file.pspkg"
    path.write_bytes(HEADER.pack(*fields, checksum) + text)
    return path
