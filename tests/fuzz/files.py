"""Damaged ONNX files: a valid small network, changed in bytes or in fields of its protobuf."""

import functools
import random as stdlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]

from tests.compiler.front.qdq import Qdq

SCALE = 0.04

INTEGERS = (0, 1, -1, 2, 7, 16, 255, 1 << 20, (1 << 31) - 1, -(1 << 31), 1 << 40, (1 << 63) - 1)
FLOATS = (0.0, -1.0, 1e-45, 1e38, float("nan"), float("inf"), float("-inf"))
TEXTS = ("", "image", "../x", "/etc/hostname", "\x00", "a" * 5000, "Loop", "If", "com.microsoft")


def convolutions() -> onnx.ModelProto:
    """Two convolutions, a pool between them."""
    net = Qdq(np.random.default_rng(1))
    x = net.qdq(net.node("MaxPool", net.stem(), kernel_shape=[2, 2]), SCALE, signed=False)
    return net.model(net.qdq(net.conv(x, 5), SCALE))


def gated() -> onnx.ModelProto:
    """A block with a block gate, a channel gate and a classifier."""
    net = Qdq(np.random.default_rng(2))
    x = net.stem()
    channel, block = net.gate(net.pool(x), 6, "cnet"), net.gate(net.pool(x), 1, "lnet")
    y = net.node("Mul", net.node("Relu", net.conv(x, 6)), channel)
    y = net.node("Mul", block, net.conv(net.qdq(y, SCALE, signed=False), 4))
    y = net.qdq(net.node("Relu", net.node("Add", y, x)), SCALE, signed=False)
    net.metadata = {"penstock.schedule": "parallel"}
    return net.model(net.classifier(y))


BASES = (convolutions, gated)


@functools.lru_cache
def valid(base: int) -> bytes:
    """The bytes of a valid network."""
    data: bytes = BASES[base].__call__().SerializeToString()
    return data


def damaged(seed: int) -> bytes:
    """The file of a seed: bytes or fields of a valid network, changed once, twice or four times."""
    random = stdlib.Random(f"file {seed}")
    data = valid(random.randrange(len(BASES)))
    change = random.choice((change_bytes, _fields, _fields, _fields))
    return change(data, random)


def change_bytes(data: bytes, random: stdlib.Random) -> bytes:
    """Overwrite, cut out, double or drop the end."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(max(len(changed), 1))  # nothing may be left of it
        span = slice(at, at + random.choice((1, 1, 4, 64)))
        kind = random.randrange(4)
        if kind == 0:
            changed[span] = random.randbytes(len(changed[span]))
        elif kind == 1:
            del changed[span]
        elif kind == 2:
            changed[at:at] = changed[span]
        else:
            del changed[max(at, 1) :]
    return bytes(changed)


def _fields(data: bytes, random: stdlib.Random) -> bytes:
    """Change fields of messages anywhere in the model."""
    model = onnx.ModelProto.FromString(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        everything = list(_messages(model))
        # Half of the model is weights' and shapes' messages: pick the type first.
        kinds = sorted({type(message).__name__ for message in everything})
        kind = random.choice(kinds)
        message = random.choice([m for m in everything if type(m).__name__ == kind])
        _change(message, random.choice(message.DESCRIPTOR.fields), everything, random)
    result: bytes = model.SerializeToString()
    return result


def _messages(message: Message) -> Iterator[Message]:
    """A message and all in it."""
    yield message
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in value if field.is_repeated else [value]:
                yield from _messages(inner)


def _change(
    message: Message, field: FieldDescriptor, everything: list[Message], random: stdlib.Random
) -> None:
    """Clear a field, or set it to something odd, or to a copy of another's."""
    value = getattr(message, field.name)
    if random.random() < 0.15:
        message.ClearField(field.name)
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        kind = field.message_type.name
        others = [other for other in everything if other.DESCRIPTOR.name == kind]
        if others:
            # A copy of its own: the other may be what this message lies in.
            data = random.choice(others).SerializeToString()
            (value.add() if field.is_repeated else value).MergeFromString(data)
    elif not field.is_repeated:
        setattr(message, field.name, _odd(field, everything, random))
    elif len(value) and random.random() < 0.7:
        value[random.randrange(len(value))] = _odd(field, everything, random)
    else:
        value.append(_odd(field, everything, random))


def _odd(field: FieldDescriptor, everything: list[Message], random: stdlib.Random) -> Any:
    """A value of the field's type: an extreme one, or one that means something elsewhere."""
    if field.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        return random.choice(FLOATS)
    if field.type == FieldDescriptor.TYPE_STRING:
        names = [m.name for m in everything if isinstance(m, (onnx.TensorProto, onnx.NodeProto))]
        return random.choice((*TEXTS, *names))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return random.randbytes(random.choice((0, 1, 7, 4000)))
    if field.type == FieldDescriptor.TYPE_ENUM:
        return random.choice([value.number for value in field.enum_type.values])
    value = random.choice(INTEGERS)
    if field.type in (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64):
        value = abs(value)
    narrow = field.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_UINT32)
    return value % (1 << 31) if narrow and abs(value) >= 1 << 31 else value
