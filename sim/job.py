"""What a host hands a core: the buffers and numbers that its argument registers name."""

import dataclasses

import numpy as np
import numpy.typing as npt

from penstock.program.core.config import BEAT_BYTES, HwConfig
from penstock.program.core.descriptor import DESCRIPTOR_BYTES
from penstock.program.network.package import Package

Bytes = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """A program and its images, whatever they are worth: a core refuses what is wrong with them.

    Attributes:
        program: descriptors, 64 bytes each.
        weights: the weight blob.
        inputs: uint8 [N, input_stride].
        output_stride: bytes of an output record.
        n_descriptors: None: all of `program`.
        config_hash: None: that of the core.
    """

    program: bytes
    weights: bytes
    inputs: Bytes
    output_stride: int
    n_descriptors: int | None = None
    config_hash: int | None = None

    @classmethod
    def of(cls, package: Package, inputs: Bytes) -> "Job":
        """A package and its images, as the driver starts them."""
        return cls(
            program=package.descriptors,
            weights=package.weights,
            inputs=inputs,
            output_stride=package.meta["record_bytes"],
            n_descriptors=package.n_descriptors,
            config_hash=package.config_hash,
        )

    def descriptors(self) -> int:
        """How many of them the core is told."""
        if self.n_descriptors is not None:
            return self.n_descriptors
        return len(self.program) // DESCRIPTOR_BYTES

    def hash_for(self, config: HwConfig) -> int:
        """The hash that a core of `config` is told."""
        return config.hash if self.config_hash is None else self.config_hash

    def output(self) -> Bytes:
        """Room for the records: zeros, uint8 [N, output_stride]."""
        return np.zeros((len(self.inputs), self.output_stride), np.uint8)


def whole_beats(data: bytes) -> Bytes:
    """The bytes as an array, padded with zeros to whole beats (copied only then)."""
    array = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    rest = -len(array) % BEAT_BYTES
    return np.concatenate([array, np.zeros(rest, np.uint8)]) if rest else array
