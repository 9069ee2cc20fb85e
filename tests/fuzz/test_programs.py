"""Damaged program files, arrays and test vectors: accepted, or refused in one line."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from penstock.host.vectors import VectorError, Vectors
from penstock.program.core.descriptor import Descriptor, Op
from penstock.program.network.package import Package, PackageError
from tests.fuzz import programs
from tests.fuzz.sandbox import GOOD, Sandbox

SLICE = range(200)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(programs.read) as sandbox:
        yield sandbox


def test_what_is_damaged_below_is_valid(sandbox: Sandbox, tmp_path: Path) -> None:
    programs.package().save(tmp_path / "file.pspkg")
    for suffix, data in programs.arrays().items():
        (tmp_path / f"file{suffix}").write_bytes(data)
    for path in tmp_path.iterdir():
        assert sandbox.try_file(path).kind == "accepted", path


def test_damaged_files(sandbox: Sandbox, tmp_path: Path) -> None:
    """A fixed slice of `make fuzz`."""
    kinds = []
    for seed in SLICE:
        path = programs.write_damaged(seed, tmp_path)
        verdict = sandbox.try_file(path)
        kinds.append(verdict.kind)
        assert verdict.good, f"{path.suffix}: {verdict.kind}: {verdict.text}; seed {seed}"
    assert all(kinds.count(kind) > len(SLICE) // 10 for kind in GOOD)


@pytest.mark.parametrize(
    "text, message",
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "is not JSON"),
        (b'{"a":' + b"9" * 100_000 + b"}", "is not JSON"),
        (b"[]", "is not an object"),
        (b"{}", "lacks network, or has it wrong"),
        (b'{"network": 1}', "lacks network, or has it wrong"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_metadata_that_is_none(sandbox: Sandbox, tmp_path: Path, text: bytes, message: str) -> None:
    verdict = sandbox.try_file(programs.with_metadata(text, tmp_path))
    assert verdict.kind == "refused"
    assert f"file.pspkg: its metadata {message}; compile it again" in verdict.text


@pytest.mark.parametrize(
    "path, value, message",
    [
        (("input", "scale"), 0.0, "lacks input.scale, or has it wrong"),
        (("input", "scale"), float("nan"), "lacks input.scale, or has it wrong"),
        (("input", "bytes"), True, "lacks input.bytes, or has it wrong"),
        (("input", "bytes"), 1, "has an input of shape"),
        (("input", "shape"), [1, 1], "has an input of shape"),
        (("output", "classes"), 1 << 30, "has results outside its record"),
        (("gates", 0, "offset"), 1 << 31, "has results outside its record"),
        (("images",), 0, "is for 0 images a run"),
        (("images",), 2, "has gates or exits, for 2 images a run"),
        (("record_bytes",), 1 << 40, "lacks record_bytes, or has it wrong"),
        (("memory", 0, "steps"), [1], "has a block of memory without"),  # fuzz seed 10733
        (("layers",), [], "has 0 layers for"),
        (("layers", 0, "macs_per_pair"), "x", "has a bad layer"),
    ],
)
def test_wrong_metadata(
    sandbox: Sandbox, tmp_path: Path, path: tuple[str | int, ...], value: object, message: str
) -> None:
    good = Package.decode(programs.package().encode())  # a copy
    place: object = good.meta
    for key in path[:-1]:
        place = place[key]  # type: ignore[index]
    place[path[-1]] = value  # type: ignore[index]
    good.save(tmp_path / "file.pspkg")
    with pytest.raises(PackageError, match=message):
        Package.load(tmp_path / "file.pspkg")
    assert message in sandbox.try_file(tmp_path / "file.pspkg").text


def first(op: Op) -> int:
    """The first descriptor of the valid program with this operation."""
    data = programs.package().descriptors
    return next(i for i in range(len(data) // 64) if data[64 * i] == op)


@pytest.mark.parametrize(
    "op, change, message",
    [
        (Op.LOAD, {"op": 77}, "has the unknown operation 77"),
        (Op.LOAD, {"pred_en": 1, "pred_slot": 4000}, "is skipped by score 4000 of"),
        (Op.CONV, {"in_list": 99}, "walks a list that no GATE before it makes"),
        (Op.CONV, {"fold_en": 1, "fold_slot": 4000}, "folds scores from 4000"),
        (Op.GATE, {"dst": 4000}, "writes scores 4000 to"),
        (Op.HALT, {"length": 4000}, "it does not end with HALT"),
    ],
)
def test_illegal_descriptors(
    sandbox: Sandbox, tmp_path: Path, op: Op, change: dict[str, int], message: str
) -> None:
    good, at = programs.package(), 64 * first(op)
    values = Descriptor.decode(good.descriptors[at : at + 64]).values | change
    data = good.descriptors[:at] + Descriptor(values=values).encode() + good.descriptors[at + 64 :]
    bad = Package(
        config_hash=good.config_hash, descriptors=data, weights=good.weights, meta=good.meta
    )
    bad.save(tmp_path / "file.pspkg")
    verdict = sandbox.try_file(tmp_path / "file.pspkg")
    assert verdict.kind == "refused" and message in verdict.text


@pytest.mark.parametrize("cut", [1, 10, 400])
def test_truncated_vectors_are_named(tmp_path: Path, cut: int) -> None:
    """A copy to the board that broke off: the driver's own error, not zipfile's."""
    path = tmp_path / "vectors.npz"
    arrays = {"images": np.ones((2, 1, 3, 3), np.float32), "labels": np.arange(2)}
    Vectors(**arrays, results=np.ones((2, 8), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(VectorError, match=r"vectors.npz is damaged .*; copy it again"):
        Vectors.load(path)
