"""Counters of every descriptor, from the core's own records.

A descriptor's share is what it adds: the counters of the Program up to and with it, less those of
the Program up to it.  All prefixes run in one stream, each ending in a HALT, so work that a later
descriptor overlaps (its weights come meanwhile) is counted where it is waited for.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.core.descriptor import DESCRIPTOR_BYTES, Descriptor, Op
from penstock.program.network.package import Package
from penstock.sim.rtl.engine import RtlCore
from penstock.sim.rtl.memory import USUAL, Memory

Bytes = npt.NDArray[np.uint8]

#: Counters of which a descriptor has a share; `exit` is an index.
SHARED = tuple(name for name in COUNTER_NAMES if name != "exit")


def prefix_package(package: Package) -> tuple[Package, int]:
    """A Program with every prefix of an image's descriptors, the empty one first; how many."""
    data = package.descriptors
    words = [data[i : i + DESCRIPTOR_BYTES] for i in range(0, len(data), DESCRIPTOR_BYTES)]
    halt = Descriptor.decode(words[-1])
    loop = halt.length
    assert halt.op == Op.HALT
    body, stream = words[loop:-1], words[:loop]
    for count in range(len(body) + 1):
        stream += body[:count]
        after = len(stream) + 1 if count < len(body) else loop
        stream.append(Descriptor(values=halt.values | {"length": after}).encode())
    return dataclasses.replace(package, descriptors=b"".join(stream)), len(body) + 1


def profile(
    core: RtlCore,
    package: Package,
    inputs: Bytes,
    progress: Callable[[int, int], None] | None = None,
    memory: Memory = USUAL,
) -> list[dict[str, Any]]:
    """Mean counters an image of every descriptor that runs for each image, HALT excepted.

    Takes half as many runs of the network as it has descriptors; the results are not looked at.

    Args:
        core: of the package's configuration.
        package: the Program.
        inputs: uint8 [N, input bytes].
        progress: called with (prefixes begun, prefixes).
        memory: as of RtlCore.run.

    Raises:
        SimulationError: as RtlCore.run.
    """
    prefixes, count = prefix_package(package)
    # The first image pays what runs once: it is run twice, its first records are left out.
    repeated = np.repeat(np.concatenate([inputs[:1], inputs]), count, axis=0)
    records = core.run(prefixes, repeated, progress=progress, memory=memory)[count:]
    words = np.ascontiguousarray(records[:, :COUNTER_BYTES]).view("<u4").astype(np.int64)
    values = words.reshape(len(inputs), count, len(COUNTER_NAMES))
    shares = np.diff(values, axis=1).mean(axis=0)  # [descriptors, counters]
    layers = package.meta["layers"][-count:-1]
    first = len(package.meta["layers"]) - count
    return [
        {
            "descriptor": first + index,
            "name": layer["name"],
            **{name: float(shares[index, COUNTER_NAMES.index(name)]) for name in SHARED},
        }
        for index, layer in enumerate(layers)
    ]
