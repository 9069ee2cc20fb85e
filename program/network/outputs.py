"""What leaves a network, by the names of its file: each output in its shape and at its scale."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.program.network.ends import decode_part

Array = npt.NDArray[Any]


def decode_outputs(
    records: npt.NDArray[np.uint8], results: Array, meta: Mapping[str, Any]
) -> dict[str, Array]:
    """Output of the network's file -> (N, ...): real values, or what its tail makes of them.

    `results`: those of the network's own output, which are all where the metadata lists none.
    """
    if "outputs" not in meta:
        return {meta["output"]["name"]: results}
    found: dict[str, Array] = {}
    for entry in meta["outputs"]:
        at = entry["offset"]
        real = real_values(records[:, at : at + code_bytes(entry)], entry)
        real = real.reshape(len(records), *entry["shape"])[: len(results)]
        found[entry["name"]] = decode_part(entry["tail"]).run(real) if "tail" in entry else real
    return found


def check_outputs(entries: Any, record: int) -> None:
    """ValueError, in a few words, unless the outputs of a Program's metadata fit its record."""
    if not isinstance(entries, list):
        raise ValueError("has outputs that are no list")
    for entry in entries:
        _check(entry if isinstance(entry, dict) else {}, record)


def _check(entry: Mapping[str, Any], record: int) -> None:
    scale, shape = (entry.get(key) for key in ("scale", "shape"))
    offset, classes = (entry.get(key) for key in ("offset", "classes"))
    named = isinstance(entry.get("name"), str) and isinstance(entry.get("signed"), bool)
    number = isinstance(scale, int | float) and 0 < scale < np.inf
    if not named or not number or type(offset) is not int or type(classes) is not int:
        raise ValueError("has an output without a name, a place, a type or a scale")
    check_codes(entry, "an output with ")
    if min(offset, classes) < 0 or offset + code_bytes(entry) > record:
        raise ValueError(f"has an output outside its record of {record} bytes")
    if not isinstance(shape, list) or not _is_shape(shape) or math.prod(shape) != classes:
        raise ValueError(f"has an output of shape {shape} in {classes} bytes")
    if "tail" in entry:
        try:
            source = decode_part(entry["tail"]).source
        except ValueError as error:
            raise ValueError(f"has an output with a part for the host that {error}") from None
        if source.shape != tuple(shape):
            raise ValueError(f"has an output of shape {shape} and a tail of {source.shape}")


def check_codes(numbers: Mapping[str, Any], what: str = "") -> None:
    """ValueError unless `bits` and `zero_point` of an input, output or exit are numbers that codes
    can have; `what` has them."""
    bits, zero = numbers.get("bits", 8), numbers.get("zero_point", 0)
    if bits not in (8, 16) or type(bits) is not int:
        raise ValueError(f"has {what}codes of {bits} bits")
    if bits == 16 and (not numbers["signed"] or zero):
        raise ValueError(f"has {what}codes of 16 bits that are unsigned, or have a zero point")
    low = -128 if numbers["signed"] else 0
    if type(zero) is not int or not low <= zero <= low + 255:
        raise ValueError(f"has {what}the zero point {zero}")


def code_bytes(entry: Mapping[str, Any]) -> int:
    """Bytes of an output's codes in a record."""
    return int(entry["classes"]) * int(entry.get("bits", 8)) // 8


def _is_shape(shape: list[Any]) -> bool:
    return all(type(side) is int and side >= 0 for side in shape)


def real_values(codes: Array, numbers: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    """What the bytes uint8 (..., bytes) of codes stand for: `signed`, `scale` and perhaps
    `zero_point` and `bits` say it."""
    kind = "<i2" if numbers.get("bits") == 16 else "i1" if numbers["signed"] else "u1"
    values = np.ascontiguousarray(codes).view(kind)
    real = values.astype(np.float32) - np.float32(numbers.get("zero_point", 0))
    return real * np.float32(numbers["scale"])
