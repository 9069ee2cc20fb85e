"""The 64-byte descriptor: fields do not overlap, every value survives, what does not fit fails."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.program.core import descriptor_fields
from penstock.program.core.descriptor import (
    DESCRIPTOR_BYTES,
    DESCRIPTOR_WORDS,
    FIELD_BY_NAME,
    FIELDS,
    Descriptor,
    Field,
    Op,
)


def values_of(field: Field) -> st.SearchStrategy[int]:
    low = -(1 << (field.width - 1)) if field.signed else 0
    return st.integers(low, low + (1 << field.width) - 1)


ANY = st.fixed_dictionaries(
    {field.name: values_of(field) for field in FIELDS if field.name != "op"}
)


@given(op=st.sampled_from(Op), values=ANY)
def test_round_trip(op: Op, values: dict[str, int]) -> None:
    d = Descriptor.make(op, **values)
    data = d.encode()
    assert len(data) == DESCRIPTOR_BYTES
    assert Descriptor.decode(data) == d
    assert d.values == {"op": int(op), **values}


def test_fields_do_not_overlap() -> None:
    used = [0] * DESCRIPTOR_WORDS
    for field in FIELDS:
        assert field.lsb + field.width <= 32
        mask = ((1 << field.width) - 1) << field.lsb
        assert not used[field.word] & mask, field.name
        used[field.word] |= mask


def test_little_endian_words() -> None:
    data = Descriptor.make(Op.CONV, src=0x12345678, clamp_lo=-2, pred_slot=0xABCD).encode()
    assert data[0] == Op.CONV
    assert data[4:6] == b"\xcd\xab"
    assert data[20:24] == b"\x78\x56\x34\x12"
    assert data[40:42] == b"\xfe\xff"


def test_an_unknown_operation_is_kept() -> None:
    assert Descriptor.decode(bytes([200]) + bytes(63)).op == 200


def test_misuse() -> None:
    with pytest.raises(ValueError, match=r"CONV\.cin = 65536 does not fit 16 bits"):
        Descriptor.make(Op.CONV, cin=65536)
    with pytest.raises(ValueError, match=r"CONV\.clamp_hi = 32768 does not fit 16 bits"):
        Descriptor.make(Op.CONV, clamp_hi=32768)
    with pytest.raises(KeyError):
        Descriptor.make(Op.CONV, colour=1)
    with pytest.raises(AttributeError):
        _ = Descriptor.make(Op.HALT).colour


def test_a_type_checker_knows_the_fields() -> None:
    source = Path(descriptor_fields.__file__).read_text(encoding="utf-8")
    assert re.findall(r"^ {8}(\w+): int$", source, re.M) == list(FIELD_BY_NAME)
