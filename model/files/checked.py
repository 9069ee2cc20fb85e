"""Files of torch that anyone may have written: every field is looked at before it is used."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from penstock.model.errors import CheckpointError, ModelError

#: Above every number of a network that is trained: channels, classes, pixels of a side.
LARGEST = 1 << 16
#: Bytes of a network that is built without first comparing its shapes with the file's.
BUILT_UNSEEN = 4 << 30


def read_torch(path: Path, hint: str) -> dict[str, Any]:
    """The dictionary in a file of torch.save; no code in it is run.

    Raises:
        CheckpointError: there is no file, or it holds something else.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file", hint)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises whatever the bytes make it
        raise CheckpointError(f"{path}: not a readable checkpoint", hint) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a checkpoint of Penstock", hint)
    return content


@contextmanager
def as_checkpoint_error(path: Path, what: str, hint: str) -> Iterator[None]:
    """Around the use of a file's content: what that raises is a CheckpointError naming `path`."""
    try:
        yield
    except CheckpointError as error:
        if str(path) in error.message:
            raise
        raise CheckpointError(f"{path}: {error.message}", error.hint or hint) from error
    except ModelError as error:
        raise CheckpointError(f"{path}: {what}: {error.message}", error.hint or hint) from error
    except Exception as error:
        said = (str(error).splitlines() or [""])[0][:200]
        reason = f"{type(error).__name__} {said}".strip()
        raise CheckpointError(f"{path}: {what} cannot be used: {reason}", hint) from error


def entry(content: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    """`content[name]`, an instance of `kind`.  CheckpointError otherwise."""
    if name not in content:
        raise CheckpointError(f"field '{name}' is missing")
    value = content[name]
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise CheckpointError(f"field '{name}' is {_named(type(value))}, expected {_named(kind)}")
    return value


def numbers(
    content: Mapping[str, Any], name: str, count: int, *, above: float | None = None
) -> list[float]:
    """`content[name]`, `count` finite numbers above a bound.  CheckpointError otherwise."""
    values = content.get(name)
    good = isinstance(values, (list, tuple)) and len(values) == count
    if not good or not all(_finite(value) for value in values or ()):
        raise CheckpointError(f"field '{name}' is not {count} finite numbers")
    assert values is not None
    if above is not None and not all(value > above for value in values):
        raise CheckpointError(f"field '{name}' holds a number that is not above {above:g}")
    return [float(value) for value in values]


def figures(content: Mapping[str, Any], *needed: str) -> dict[str, float]:
    """A dictionary of finite numbers that has the needed names.  CheckpointError otherwise."""
    metrics = entry(content, "metrics", dict)
    for name in needed:
        if name not in metrics:
            raise CheckpointError(f"field 'metrics' has no '{name}'")
    for name, value in metrics.items():
        if not isinstance(name, str) or not _finite(value):
            raise CheckpointError(f"field 'metrics' has no number at '{name}'")
    return metrics


def state_dict(content: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """A state dict of dense tensors that are as large as they say, all finite.

    Raises:
        CheckpointError: it is none, or a tensor is not.
    """
    state = entry(content, name, dict)
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"field '{name}' holds something that is no tensor at '{key}'")
        if value.layout is not torch.strided or value.device.type != "cpu" or value.is_complex():
            raise CheckpointError(f"'{key}' of '{name}' is not a plain tensor")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise CheckpointError(f"'{key}' of '{name}' is larger than its data")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise CheckpointError(
                f"'{key}' of '{name}' holds NaN or infinity",
                "the training diverged: train it again",
            )
    return state


def check_shapes(net: torch.nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """CheckpointError unless `state` has the tensors of `net`, of the same shapes."""
    own = net.state_dict()
    for key in [*own, *state]:
        if key not in own or key not in state:
            whose = "the file" if key in state else "the network"
            raise CheckpointError(f"'{key}' of '{name}' is in {whose} alone")
        if own[key].shape != state[key].shape:
            raise CheckpointError(
                f"'{key}' of '{name}' has shape {tuple(state[key].shape)}, the network's "
                f"{tuple(own[key].shape)}"
            )


def plain_values(kind: type[Any], plain: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for a configuration's dataclass out of a file: names, types and sizes hold.

    Lists count as tuples.

    Raises:
        CheckpointError: a field is missing, unknown or of another type.
    """
    hints = typing.get_type_hints(kind)
    known = {field.name for field in fields(kind)}
    if foreign := sorted(str(name) for name in plain if name not in known):
        raise CheckpointError(f"field 'network' has an unknown setting '{foreign[0]}'")
    return {name: _plain(name, value, hints[name]) for name, value in plain.items()}


def _plain(name: str, value: Any, hint: Any) -> Any:
    """`value` if it is of the annotated type, tuples from lists."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _plain(name, value, next(kind for kind in arguments if kind is not type(None)))
    if origin is typing.Literal and isinstance(value, str) and value in arguments:
        return value
    if origin is tuple and isinstance(value, (list, tuple)) and len(value) <= LARGEST:
        if arguments[-1] is Ellipsis:
            return tuple(_plain(name, each, arguments[0]) for each in value)
        if len(value) == len(arguments):
            return tuple(_plain(name, e, kind) for e, kind in zip(value, arguments, strict=True))
    if hint is bool and value in (False, True) and isinstance(value, (bool, int)):
        return bool(value)
    if hint is str and isinstance(value, str):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) <= LARGEST:
            return value
    if is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        if isinstance(value, Mapping):
            return hint(**plain_values(hint, value))
    shown = repr(value)
    raise CheckpointError(f"setting '{name}' of the network cannot be {shown[:40]}")


def _finite(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and abs(value) < float("inf")  # type: ignore[arg-type]


def _named(kind: type[Any]) -> str:
    return {dict: "a dictionary", str: "a text", int: "an integer"}.get(kind, f"a {kind.__name__}")
