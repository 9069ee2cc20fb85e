"""The program file: round trip, and every defect by its message."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.program.core.config import CONFIGS, get_config
from penstock.program.core.descriptor import Descriptor, Op
from penstock.program.network.package import (
    ENDS_VERSION,
    FORMAT_VERSION,
    HEADER,
    Package,
    PackageError,
)

TINY = get_config("tiny")


def package(descriptors: int = 3, weights: bytes = b"\x01" * 24) -> Package:
    return Package(
        config_hash=TINY.hash,
        descriptors=Descriptor.make(Op.HALT).encode() * descriptors,
        weights=weights,
        meta={
            "network": "ä",
            "config": "tiny",
            "schedule": "parallel",
            "images": 1,
            "record_bytes": 80,
            "input": {"name": "x", "shape": [1, 2, 4], "signed": True, "scale": 0.1, "bytes": 8},
            "output": {"name": "y", "classes": 3, "signed": True, "scale": 1.0, "offset": 72},
            "exits": [],
            "gates": [{"name": "g", "score": 0, "count": 2, "offset": 64}],
            "memory": [{"name": "x", "address": 0, "bytes": 8, "steps": [0, 1]}],
            "layers": [{"name": "layer"}] * descriptors,
        },
    )


@given(count=st.integers(0, 5), weights=st.binary(max_size=64))
def test_round_trip(count: int, weights: bytes) -> None:
    original = package(count, weights)
    assert Package.decode(original.encode()) == original
    assert original.n_descriptors == count


def test_save_and_load(tmp_path: Path) -> None:
    package().save(tmp_path / "net.pspkg")
    assert Package.load(tmp_path / "net.pspkg") == package()
    assert [path.name for path in tmp_path.iterdir()] == ["net.pspkg"]


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_every_flipped_bit_is_found(at: int, bit: int) -> None:
    data = bytearray(package().encode())
    data[at % len(data)] ^= 1 << bit
    with pytest.raises(PackageError):
        Package.decode(bytes(data))


@given(cut=st.integers(0, 10_000))
def test_every_truncation_is_found(cut: int) -> None:
    data = package().encode()
    with pytest.raises(PackageError):
        Package.decode(data[: cut % len(data)])


def message(data: bytes) -> str:
    with pytest.raises(PackageError) as caught:
        Package.decode(data, "net.pspkg")
    return str(caught.value)


def test_messages() -> None:
    data = package().encode()
    size = len(data)
    assert message(b"") == "net.pspkg: not a Penstock program (bad magic or too short)"
    assert message(b"PK" + data[2:]) == "net.pspkg: not a Penstock program (bad magic or too short)"
    assert message(data[:-1]) == (
        f"net.pspkg: {size - 1} bytes where its header promises {size} (truncated?); "
        "copy or compile it again"
    )
    assert "promises" in message(data + b"\0")
    flipped = data[: HEADER.size] + bytes([data[HEADER.size] ^ 1]) + data[HEADER.size + 1 :]
    assert message(flipped) == "net.pspkg: checksum differs (corrupted); compile it again"
    other = data[:8] + (ENDS_VERSION + 1).to_bytes(4, "little") + data[12:]
    assert message(other) == (
        f"net.pspkg: format version {ENDS_VERSION + 1}, this release reads {FORMAT_VERSION} and "
        f"{ENDS_VERSION}; compile the network again"
    )


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="No such file or directory"):
        Package.load(tmp_path / "none.pspkg")


LARGEST = (1 << 32) - 1


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"input": {"shape": [3, 1000, 1000], "bytes": LARGEST}},
            r"an input of 4,294,967,295 bytes, 3 descriptors move 1,572,840 at most",
        ),
        ({"images": LARGEST, "gates": []}, r"an input of 34,359,738,360 bytes"),
        ({"record_bytes": 1_572_841}, r"a record of 1,572,841 bytes"),
        ({"memory": [{"name": "x", "address": 0, "bytes": 8, "steps": [0, 4]}]}, r"behind its 3"),
    ],
)
def test_sizes_are_bounded_by_the_file(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """What a few bytes of metadata promise is not allocated, on a board least of all."""
    good = package()
    meta = {**good.meta, **changes}
    meta["input"] = {**good.meta["input"], **changes.get("input", {})}
    dataclasses.replace(good, meta=meta).save(tmp_path / "net.pspkg")
    with pytest.raises(PackageError, match=rf"net\.pspkg: its metadata has .*{message}"):
        Package.load(tmp_path / "net.pspkg")


def test_foreign_configuration() -> None:
    z7020 = get_config("z7020")
    package().require(TINY)
    with pytest.raises(PackageError) as caught:
        package().require(z7020)
    assert str(caught.value) == (
        f"program is for hardware configuration {TINY.hash:#010x}, 'z7020' is {z7020.hash:#010x}; "
        "compile the network again with --config z7020"
    )
    foreign = dataclasses.replace(package(), config_hash=0x12345678)
    with pytest.raises(PackageError, match="configuration 0x12345678, unknown here"):
        _ = foreign.config
    assert package().config == TINY


def test_hashes_differ_in_every_field() -> None:
    assert len({config.hash for config in CONFIGS.values()}) == len(CONFIGS)
    base = dataclasses.replace(TINY, p_oc=4, p_px=8, min_rows=2)
    for field in dataclasses.fields(base):
        if field.name != "name":
            value = getattr(base, field.name) * 2
            assert dataclasses.replace(base, **{field.name: value}).hash != base.hash


def test_impossible_configurations() -> None:
    with pytest.raises(ValueError, match=r"tiny\.p_px = 3: not a power of two"):
        dataclasses.replace(TINY, p_px=3)
    with pytest.raises(ValueError, match=r"tiny\.p_px = 1: at least 2"):
        dataclasses.replace(TINY, p_px=1)
    with pytest.raises(ValueError, match=r"tiny\.macs_per_dsp = 2: needs min_rows 2"):
        dataclasses.replace(TINY, macs_per_dsp=2)
    with pytest.raises(ValueError, match=r"tiny\.min_rows = 4: more than p_oc"):
        dataclasses.replace(TINY, min_rows=4)
    with pytest.raises(KeyError, match="unknown configuration 'huge': one of tiny, z7020"):
        get_config("huge")
