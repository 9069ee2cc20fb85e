"""The shape of a program's metadata (docs/program.md): what every reader may rely on.

The checksum finds accidents; this finds a file that another tool wrote wrongly, or on purpose.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

from penstock.program.base.arith import round_up
from penstock.program.core.config import BEAT_BYTES, MAX_LENGTH
from penstock.program.network.ends import check_ends
from penstock.program.network.meta import ProgramMeta, Threshold
from penstock.program.network.outputs import check_outputs
from penstock.program.network.pixels import pixels_of

#: Largest number of the format: sizes, addresses and counts are 32-bit words.
LARGEST = (1 << 32) - 1


def parse_metadata(data: bytes) -> dict[str, Any]:
    """The metadata's JSON; ValueError, in a few words, if it is not an object of JSON."""
    try:
        meta = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(meta, dict):
        raise ValueError("is not an object")
    return meta


def _file_shape(meta: Mapping[str, Any]) -> list[int] | None:
    """An image as the head takes it, None without one."""
    if "head" not in meta:
        return None
    source = meta["head"].get("source") if isinstance(meta["head"], dict) else None
    shape = source.get("shape") if isinstance(source, dict) else None
    if not isinstance(shape, list) or len(shape) != 3:
        return [0]  # takes no photographs
    return shape


def check_metadata(meta: Mapping[str, Any], n_descriptors: int) -> None:
    """ValueError, in a few words, unless `meta` is as documented and within its own sizes."""
    _check(meta, ProgramMeta, "it")
    image, result, record = meta["input"], meta["output"], meta["record_bytes"]
    if len(image["shape"]) != 3 or not 1 <= math.prod(image["shape"]) <= image["bytes"]:
        raise ValueError(f"has an input of shape {image['shape']} in {image['bytes']} bytes")
    pixels_of(image, _file_shape(meta))
    names = result.get("class_names")
    if names is not None and (
        not isinstance(names, list)
        or len(names) != result["classes"]
        or not all(isinstance(name, str) for name in names)
    ):
        raise ValueError(f"has class names that are not {result['classes']} texts")
    images = meta["images"]
    if images < 1:
        raise ValueError(f"is for {images} images a run")
    if images > 1 and (meta["gates"] or meta["exits"]):
        raise ValueError(f"has gates or exits, for {images} images a run")
    moved = MAX_LENGTH * n_descriptors  # the most that so many LOADs or STOREs move
    for what, size in (("an input", images * image["bytes"]), ("a record", record)):
        if size > moved:
            raise ValueError(
                f"has {what} of {size:,} bytes, {n_descriptors} descriptors move {moved:,} at most"
            )
    places = [(result["offset"], (images - 1) * result_stride(meta) + result["classes"])]
    places += [(gate["offset"], gate["count"]) for gate in meta["gates"]]
    if any(offset + count > record for offset, count in places):
        raise ValueError(f"has results outside its record of {record} bytes")
    scores = sum(gate["count"] for gate in meta["gates"])
    if any(leave["scores"] > scores for leave in meta["exits"]):
        raise ValueError(f"has an exit with more than its {scores} scores")
    for threshold in (leave["threshold"] for leave in meta["exits"]):
        number = type(threshold) in (int, float)
        if not number or not math.isfinite(threshold) or threshold < 0:
            raise ValueError(f"has the exit threshold {threshold}")
    if any(len(block["steps"]) != 2 for block in meta["memory"]):
        raise ValueError("has a block of memory without a first and a last step")
    if any(max(block["steps"]) > n_descriptors for block in meta["memory"]):
        raise ValueError(f"has a block of memory behind its {n_descriptors} descriptors")
    for numbers in (image, result, *meta["exits"]):
        zero, low = numbers.get("zero_point", 0), -128 if numbers["signed"] else 0
        if type(zero) is not int or not low <= zero <= low + 255:
            raise ValueError(f"has the zero point {zero}")
    check_ends(meta)
    check_outputs(meta.get("outputs", []), record)
    if len(meta["layers"]) != n_descriptors:
        raise ValueError(f"has {len(meta['layers'])} layers for {n_descriptors} descriptors")
    for layer in meta["layers"]:
        counts = isinstance(layer.get("macs_per_pair", 0), int)
        if not counts or ("kind" in layer) != ("macs_per_pair" in layer):
            raise ValueError(f"has a bad layer '{layer['name']}'")


def result_stride(meta: Mapping[str, Any]) -> int:
    """Bytes from one image's result to the next one's in a record."""
    return round_up(int(meta["output"]["classes"]), BEAT_BYTES)


def _check(value: Any, kind: Any, where: str) -> None:
    """Hold a value to an annotation of program/network/meta.py."""
    if is_typeddict(kind):
        _require(isinstance(value, dict), where)
        for key in sorted(kind.__required_keys__, key=list(get_type_hints(kind)).index):
            _require(key in value, f"{where}.{key}")
            _check(value[key], get_type_hints(kind)[key], f"{where}.{key}")
    elif get_origin(kind) is list:
        _require(isinstance(value, list), where)
        for item in value:
            _check(item, get_args(kind)[0], f"{where}[]")
    elif kind is int:
        _require(type(value) is int and 0 <= value <= LARGEST, where)
    elif kind is float:
        number = type(value) in (int, float)
        _require(number and math.isfinite(value) and value > 0, where)
    elif kind != Threshold:
        _require(isinstance(value, kind), where)


def _require(good: bool, where: str) -> None:
    if not good:
        raise ValueError(f"lacks {where.removeprefix('it.')}, or has it wrong")
