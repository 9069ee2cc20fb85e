"""Golden vectors of a network for the C test bench (hls/tb/penstock_tb.cpp reads them).

    header: magic, n_descriptors, n_images, input_stride, output_stride, weight_bytes,
            config_hash, 0
    descriptors, weights, input images, golden records

32-bit little-endian words; every part padded with zeros to whole beats.
"""

import struct

import numpy as np
import numpy.typing as npt

from penstock.program.base.arith import ceil_div
from penstock.program.core.config import BEAT_BYTES
from penstock.program.generate.cplusplus import Depths
from penstock.program.network.package import Package

Bytes = npt.NDArray[np.uint8]

MAGIC = 0x56535031
_HEADER = struct.Struct("<8I")


def pack_vectors(package: Package, inputs: Bytes, records: Bytes) -> bytes:
    """The file: `inputs` uint8 [N, input_stride], `records` uint8 [N, record_bytes]."""
    header = _HEADER.pack(
        MAGIC,
        package.n_descriptors,
        len(inputs),
        inputs.shape[1],
        records.shape[1],
        len(package.weights),
        package.config_hash,
        0,
    )
    parts = (package.descriptors, package.weights, inputs.tobytes(), records.tobytes())
    return header + b"".join(_padded(part) for part in parts)


def depths(package: Package, inputs: Bytes, records: Bytes) -> Depths:
    """Beats behind each pointer of the test bench."""
    sizes = (len(package.descriptors), len(package.weights), inputs.size, records.size)
    program, weights, images, output = (max(_beats(size), 1) for size in sizes)
    return Depths(program=program, weights=weights, input=images, output=output)


def _beats(size: int) -> int:
    return ceil_div(size, BEAT_BYTES)


def _padded(data: bytes) -> bytes:
    return data.ljust(_beats(len(data)) * BEAT_BYTES, b"\0")
