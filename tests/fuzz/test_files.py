"""Damaged and hostile files: accepted, or refused with a typed error in one line.

Each is read in a sandbox: one gigabyte more than the libraries take, twenty seconds, and no file
opened outside the model's folder.
"""

import ctypes
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.program.base.errors import PenstockError
from tests.fuzz.attacks import ATTACKS
from tests.fuzz.files import BASES, damaged, valid
from tests.fuzz.sandbox import GOOD, Sandbox

SLICE = range(150)

#: Attacks that are harmless: what is wrong is never read, or only long, or means something (weights
#: that small make the bias the result, as in onnxruntime).
ACCEPTED = {"nested_branches", "long_name", "zero_point_of_another_shape", "scale_smallest_1"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def test_what_is_damaged_below_is_valid(sandbox: Sandbox, tmp_path: Path) -> None:
    for base in range(len(BASES)):
        (tmp_path / "net.onnx").write_bytes(valid(base))
        assert sandbox.try_file(tmp_path / "net.onnx").kind == "accepted"


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    verdict = sandbox.try_file(ATTACKS[name](tmp_path))
    assert verdict.kind == ("accepted" if name in ACCEPTED else "refused"), verdict.text


def test_damaged_files(sandbox: Sandbox, tmp_path: Path) -> None:
    """A fixed slice of `make fuzz`; some of each verdict, or the damage is too little or much."""
    path, kinds = tmp_path / "net.onnx", []
    for seed in SLICE:
        path.write_bytes(damaged(seed))
        verdict = sandbox.try_file(path)
        kinds.append(verdict.kind)
        repeat = f"make fuzz N=0 CONCATS=0 FILES=1 ONNX=0 SEED={seed}"
        assert verdict.good, f"{verdict.kind}: {verdict.text}; again: {repeat}"
    assert all(kinds.count(kind) > len(SLICE) // 10 for kind in GOOD)


# ---- the sandbox itself finds what it is for


def misbehave(path: Path) -> None:
    """What the name of the file says."""
    match path.name:
        case "crash":
            ctypes.string_at(0)
        case "hang":
            time.sleep(1000)
        case "allocation":
            bytearray(2 << 30)
        case "opened elsewhere":
            Path("/etc/hostname").read_bytes()
        case "traceback":
            raise KeyError(path)
        case "several lines":
            raise PenstockError("one\ntwo")


def test_the_sandbox_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each defect, and a file as it should be behind each: a worker that died is replaced."""
    monkeypatch.setattr("tests.fuzz.sandbox.SECONDS", 3.0)
    kinds = ("allocation", "opened elsewhere", "traceback", "several lines", "crash", "hang")
    with Sandbox(misbehave) as sandbox:
        for kind in kinds:
            verdict = sandbox.try_file(tmp_path / kind)
            assert verdict.kind == kind and not verdict.good
            assert sandbox.try_file(tmp_path / "fine").kind == "accepted"
