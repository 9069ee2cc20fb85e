"""What the host computes before and behind the core: the head and the tails of a network.

A `HostPart` is a short list of steps on whole arrays, batch first, in the operators of
`program/network/ends_ops.py`.  The compiler peels one off where a network begins or ends with
what the core cannot do - normalised images, another order of axes, softmax - and the Program's
metadata keeps it, so that every engine and the board's driver compute the same.
"""

import base64
import binascii
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.program.network.ends_ops import (
    ATTRIBUTES,
    INT,
    INTS,
    KEEPS_ORDER,
    LARGEST,
    MOVES,
    NUMBER,
    OPERATORS,
    TYPES,
    Array,
)

#: Of the form of a part in the metadata.
VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HostTensor:
    """What goes into a part or comes out of it: its name in the ONNX file, its shape without the
    batch, NumPy's name of its type."""

    name: str
    shape: tuple[int, ...]
    type: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HostStep:
    """One operator: the tensors that it reads and makes, attributes as in `ends_ops`."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HostPart:
    """Steps in order, from one tensor to another.

    Attributes:
        source: what the first step reads.
        result: what the last one makes.
        constants: by name; they broadcast against arrays that have the batch first.
    """

    source: HostTensor
    result: HostTensor
    constants: Mapping[str, Array]
    steps: tuple[HostStep, ...]

    @property
    def moves(self) -> bool:
        """Whether it only puts numbers elsewhere, so that any type goes through it."""
        return all(step.op in MOVES for step in self.steps)

    @property
    def keeps_order(self) -> bool:
        """Whether the largest number that goes in is at the same place in the result.

        Not behind a softmax over a part of the numbers, scales of their own for each, or a
        conversion to integers, which wraps around.
        """
        shape = self.source.shape
        for step in self.steps:
            if step.op not in KEEPS_ORDER:
                return False
            if step.op == "Reshape":
                shape = tuple(step.attributes["shape"])
            axis = step.attributes.get("axis")
            if axis is not None and (1, *shape)[axis] != math.prod(shape):
                return False
            if any(self.constants[name].size > 1 for name in step.inputs if name in self.constants):
                return False
            if step.op == "Cast" and np.dtype(step.attributes["to"]).kind in "iu":
                return False
        return True

    @property
    def operators(self) -> str:
        """Its operators in order, for a person."""
        return ", ".join(step.op for step in self.steps)

    def run(self, array: Array) -> Array:
        """The result of N arrays [N, *source.shape], as [N, *result.shape]."""
        arrays = {**self.constants, self.source.name: array}
        with np.errstate(all="ignore"):  # exp of a large number is infinity, as in ONNX
            for step in self.steps:
                made = OPERATORS[step.op]([arrays[name] for name in step.inputs], step.attributes)
                arrays.update(zip(step.outputs, made, strict=True))
        return arrays[self.result.name]

    def encode(self) -> dict[str, Any]:
        """The part as the metadata has it."""
        return {
            "version": VERSION,
            "source": _encode_tensor(self.source),
            "result": _encode_tensor(self.result),
            "constants": {name: _encode(array) for name, array in self.constants.items()},
            "steps": [
                {
                    "op": step.op,
                    "inputs": list(step.inputs),
                    "outputs": list(step.outputs),
                    "attributes": dict(step.attributes),
                }
                for step in self.steps
            ],
        }


def decode_part(meta: Any) -> HostPart:
    """A part from the metadata, run once on zeros.

    Raises:
        ValueError: in a few words, what is not as documented (docs/program.md).
    """
    _require(isinstance(meta, dict), "is no object")
    if meta.get("version") != VERSION:
        raise ValueError(f"has version {meta.get('version')}, this release reads {VERSION}")
    constants, steps = meta.get("constants"), meta.get("steps")
    _require(isinstance(constants, dict) and isinstance(steps, list), "lacks constants or steps")
    part = HostPart(
        source=_tensor(meta.get("source")),
        result=_tensor(meta.get("result")),
        constants={name: _decode(name, entry) for name, entry in constants.items()},
        steps=tuple(_step(entry) for entry in steps),
    )
    _check_names(part)
    _dry_run(part)
    return part


def head_of(meta: Mapping[str, Any]) -> HostPart | None:
    """The part before the core, None where there is none; ValueError as `decode_part`."""
    return decode_part(meta["head"]) if "head" in meta else None


def tails_of(meta: Mapping[str, Any]) -> tuple[HostPart, ...]:
    """The parts behind the core: one for each early exit in order, then the network's own; none
    where logits are the result.  ValueError as `decode_part`."""
    entries = meta.get("tails", [])
    _require(isinstance(entries, list), "has tails that are no list")
    return tuple(decode_part(entry) for entry in entries)


def check_ends(meta: Mapping[str, Any]) -> None:
    """ValueError, in a few words, unless the parts of a Program's metadata fit its core."""
    try:
        head, tails = head_of(meta), tails_of(meta)
    except ValueError as error:
        raise ValueError(f"has a part for the host that {error}") from None
    image = tuple(meta["input"]["shape"])
    if head is not None and head.result.shape != image:
        raise ValueError(f"has a head that makes {head.result.shape}, the core takes {image}")
    if tails and len(tails) != 1 + len(meta["exits"]):
        raise ValueError(f"has {len(tails)} tails for {1 + len(meta['exits'])} ends")
    for tail in tails:
        if math.prod(tail.source.shape) != meta["output"]["classes"]:
            raise ValueError(f"has a tail of {tail.source.shape}, another shape than the logits")
        if (tail.result.shape, tail.result.type) != (tails[0].result.shape, tails[0].result.type):
            raise ValueError("has tails that make different arrays")


def _encode_tensor(tensor: HostTensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape), "type": tensor.type}


def _encode(array: Array) -> dict[str, Any]:
    data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    text = base64.b64encode(data.tobytes()).decode("ascii")
    return {"type": array.dtype.name, "shape": list(array.shape), "data": text}


def _require(good: bool, what: str) -> None:
    if not good:
        raise ValueError(what)


def _sizes(value: Any) -> tuple[int, ...]:
    good = isinstance(value, list) and all(type(side) is int and side >= 0 for side in value)
    _require(good and math.prod(value) <= LARGEST, f"has the shape {value}")
    return tuple(value)


def _tensor(entry: Any) -> HostTensor:
    _require(isinstance(entry, dict), "lacks its source or result")
    name, kind = entry.get("name"), entry.get("type")
    _require(isinstance(name, str) and kind in TYPES, "has a tensor without a name or type")
    return HostTensor(name=name, shape=_sizes(entry.get("shape")), type=kind)


def _decode(name: str, entry: Any) -> Array:
    _require(isinstance(entry, dict) and entry.get("type") in TYPES, f"has a bad constant '{name}'")
    shape, kind = _sizes(entry.get("shape")), np.dtype(entry["type"]).newbyteorder("<")
    try:
        data = base64.b64decode(entry.get("data", ""), validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise ValueError(f"has a constant '{name}' that is not base64") from None
    _require(len(data) == math.prod(shape) * kind.itemsize, f"has a constant '{name}' cut short")
    return np.frombuffer(data, kind).reshape(shape).astype(entry["type"])


def _step(entry: Any) -> HostStep:
    _require(isinstance(entry, dict), "has a step that is no object")
    op = entry.get("op")
    if not isinstance(op, str) or op not in OPERATORS:
        raise ValueError(f"has the unknown operator {op!a}")
    names = [entry.get("inputs"), entry.get("outputs")]
    for each in names:
        good = isinstance(each, list) and bool(each) and all(isinstance(n, str) for n in each)
        _require(good, f"has a step {op} without names")
    attributes, known = entry.get("attributes"), ATTRIBUTES.get(op, {})
    good = isinstance(attributes, dict) and attributes.keys() == known.keys()
    _require(good, f"has a step {op} with other attributes")
    for key, kind in known.items():
        _require(_fits(attributes[key], kind), f"has a step {op} with a bad {key}")
    return HostStep(op=op, inputs=tuple(names[0]), outputs=tuple(names[1]), attributes=attributes)


def _fits(value: Any, kind: str) -> bool:
    if kind == INT:
        return type(value) is int and abs(value) <= LARGEST
    if kind == INTS:
        return isinstance(value, list) and all(_fits(each, INT) for each in value)
    if kind == NUMBER:
        return type(value) in (int, float)
    return value in TYPES


def _check_names(part: HostPart) -> None:
    known = {part.source.name, *part.constants}
    for step in part.steps:
        missing = [name for name in step.inputs if name not in known]
        _require(not missing, f"reads {missing[:1]}, which nothing makes")
        known.update(step.outputs)
    _require(part.result.name in known, "does not make its result")


def _dry_run(part: HostPart) -> None:
    """ValueError unless zeros, a batch of two, come out in the result's shape and type."""
    zeros = np.zeros((2, *part.source.shape), part.source.type)
    try:
        made = part.run(zeros)
    except (ValueError, TypeError, IndexError, OverflowError, MemoryError) as error:
        raise ValueError(f"cannot be run ({error})") from None
    want = (2, *part.result.shape)
    if made.shape != want or made.dtype.name != part.result.type:
        raise ValueError(
            f"makes {made.dtype} of shape {made.shape}, {part.result.type} {want} is promised"
        )


def decode_results(
    logits: npt.NDArray[np.float32], exits: Array, tails: tuple[HostPart, ...]
) -> Array:
    """[N, ...]: what the tails make of logits [N, classes]; `exits`: of each image, its tail.

    The logits themselves where there are no tails.
    """
    if not tails:
        return logits
    result = np.empty((len(logits), *tails[0].result.shape), tails[0].result.type)
    for index, tail in enumerate(tails):
        chosen = exits == index
        if chosen.any():
            part = logits[chosen]
            result[chosen] = tail.run(part.reshape(len(part), *tail.source.shape))
    return result


def labels_of(
    logits: npt.NDArray[np.float32], results: Array, tails: tuple[HostPart, ...]
) -> Array:
    """int64 (N,): the predicted class.

    A result of one integer an image is the class itself; else the place of the largest logit, or
    of the largest result where a tail changes their order.
    """
    index = results.dtype in (np.dtype(np.int32), np.dtype(np.int64))
    if tails and index and math.prod(results.shape[1:]) == 1:
        return results.reshape(len(results)).astype(np.int64)
    if all(tail.keeps_order for tail in tails):
        return logits.argmax(axis=1).astype(np.int64)
    return results.reshape(len(results), -1).argmax(axis=1).astype(np.int64)
