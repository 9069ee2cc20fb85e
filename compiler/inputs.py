"""What callers give to a compiled network, and what the host does to it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.program.base.errors import PenstockError
from penstock.program.network.ends import HostPart


def check_images(
    images: npt.NDArray[Any], shape: tuple[int, ...], codes: np.dtype[Any] | None, real: bool
) -> None:
    """PenstockError unless `images` is N images of `shape`: finite float32 (if `real`), or of type
    `codes`."""
    kinds = " or ".join([*(["float32"] if real else []), *([str(codes)] if codes else [])])
    expected = f"{kinds} N x {' x '.join(map(str, shape))}"
    got = f"{images.dtype} {' x '.join(map(str, images.shape))}"
    known = (images.dtype == np.float32 and real) or (codes is not None and images.dtype == codes)
    if not known or images.shape[1:] != shape or not images.ndim:
        raise PenstockError(f"images: expected {expected}, got {got}")
    bad = ~np.isfinite(images)
    if bad.any():
        first = ", ".join(str(int(i)) for i in np.argwhere(bad)[0])
        value = images[tuple(np.argwhere(bad)[0])]
        raise PenstockError(
            f"images: expected finite numbers, got {value} at [{first}] ({int(bad.sum())} in all)"
        )


def host_rows(
    head: HostPart | None, tails: Sequence[HostPart], exits: Sequence[str]
) -> list[tuple[str, str]]:
    """What the host computes, for a person: (where, operators)."""
    rows = [("on the host, before the core", head.operators)] if head else []
    names = [*(f", exit {name}" for name in exits), ""]
    for name, tail in zip(names, tails, strict=bool(tails)):
        if tail.steps:
            rows.append((f"on the host, behind the core{name}", tail.operators))
    return rows
