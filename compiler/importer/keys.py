"""Whole objects as keys of a cache: equal keys mean objects that are equal in everything."""

import dataclasses
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np


def frozen(item: Any) -> Hashable:
    """A hashable copy of `item`: dataclasses, mappings, sequences and arrays, by content."""
    if dataclasses.is_dataclass(item):
        fields = (frozen(getattr(item, field.name)) for field in dataclasses.fields(item))
        return (type(item), *fields)
    if isinstance(item, np.ndarray):
        return (item.dtype.str, item.shape, item.tobytes())
    if isinstance(item, Mapping):
        return frozenset((key, frozen(value)) for key, value in item.items())
    if isinstance(item, list | tuple):
        return tuple(map(frozen, item))
    hash(item)  # what cannot be a key fails here
    return (type(item), item)  # 1, 1.0 and True are different
