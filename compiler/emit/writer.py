"""A Program that grows, descriptor by descriptor."""

import dataclasses
from typing import Any, cast

from penstock.compiler.plan.allocate import Allocation, plane_size
from penstock.compiler.plan.steps import Plan
from penstock.compiler.plan.weights import Bytes
from penstock.program.core.config import ALL_CHANNELS, HwConfig
from penstock.program.core.descriptor import Descriptor
from penstock.program.network.meta import ExitMeta, LayerMeta


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoadedTable:
    """A table that the core has where the fields `where` of a descriptor let it run; {}: always."""

    image: bytes
    where: dict[str, int]


@dataclasses.dataclass(kw_only=True, eq=False)
class Writer:
    """A Program that grows: its descriptors, their lines of metadata, the weight blob."""

    plan: Plan
    allocation: Allocation
    config: HwConfig
    reshape: bool
    descriptors: list[Descriptor] = dataclasses.field(default_factory=list)
    layers: list[LayerMeta] = dataclasses.field(default_factory=list)
    blob: list[Bytes] = dataclasses.field(default_factory=list)
    blob_bytes: int = 0
    #: (convolution, its bytes) -> their place
    weights: dict[tuple[str, bytes], int] = dataclasses.field(default_factory=dict)
    #: a table's bytes -> their place; the last one loaded since the image's begin
    tables: dict[bytes, int] = dataclasses.field(default_factory=dict)
    table: LoadedTable | None = None
    starts: list[int] = dataclasses.field(default_factory=list)  # a step's first descriptor
    exits: list[ExitMeta] = dataclasses.field(default_factory=list)  # as in the metadata

    def emit(self, descriptor: Descriptor, name: str, **info: Any) -> None:
        """One descriptor and its line of metadata."""
        self.descriptors.append(descriptor)
        self.layers.append(cast(LayerMeta, {"name": name, **info}))

    def address(self, buffer: str, first: int = 0, row: int = 0) -> int:
        """The address of a channel of a buffer, or of a row of it."""
        held = self.plan.buffers[buffer]
        stride, phase = plane_size(held, self.config)
        offset = row * held.shape[-1] if row else 0
        if held.paired:
            half, first = divmod(first, held.shape[0] // 2)
            offset += half * phase
        return self.allocation.buffers[buffer] + first * stride + offset

    def stride(self, buffer: str) -> int:
        """Bytes from channel to channel of a buffer."""
        return plane_size(self.plan.buffers[buffer], self.config)[0]

    def append(self, data: Bytes) -> int:
        """Put bytes (whole beats) into the blob; their offset."""
        offset = self.blob_bytes
        self.blob.append(data)
        self.blob_bytes += len(data)
        return offset

    def list(self, name: str | None) -> int:
        """The number of a survivor list; of none, every channel."""
        return ALL_CHANNELS if name is None else self.allocation.lists[name]
