"""Programs that no compiler writes, field by field; every engine has to run them."""

import numpy as np

from penstock.compiler.ir import Dense, IntArray, Requantize
from penstock.compiler.plan.weights import pack_dense, pack_interleaved
from penstock.program.core.config import ALL_CHANNELS, HwConfig
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import Descriptor, Op
from penstock.program.network.package import Package

INPUTS, HEIGHT, WIDTH = 2, 3, 12


def dense_behind_conv(config: HwConfig, outputs: int, *, kernel: int = 1, sums: bool) -> Package:
    """LOAD, CONV with sums, CONV, DENSE of the first one's sums, STORE of all that was written.

    The DENSE, with `outputs`, does not wait for anything that the second CONV makes: it has no
    sums, or `sums` behind those that are read.  Both write feature memory.
    """
    rng = np.random.default_rng(outputs)
    pixels, channels = HEIGHT * WIDTH, 3
    first = _factors(rng, channels)
    a, b = pixels * INPUTS, pixels * (INPUTS + channels)  # the maps the two make
    d = b + pixels * channels
    weights = rng.integers(-127, 128, (channels, INPUTS, 1, 1), dtype=np.int8)
    image_a, stride_a = pack_interleaved(weights, first.bias, first.requantize, config)
    weights = rng.integers(-127, 128, (channels, channels, kernel, kernel), dtype=np.int8)
    image_b, stride_b = pack_interleaved(weights, first.bias, first.requantize, config)
    gate = pack_dense([_factors(rng, outputs, channels)], 1 << 15, 19, (0, outputs))
    common = {
        "in_list": ALL_CHANNELS,
        "out_list": ALL_CHANNELS,
        "cout": channels,
        "height": HEIGHT,
        "width": WIDTH,
        "src_stride": pixels,
        "dst_stride": pixels,
        "clamp_hi": 255,
    }
    record = COUNTER_BYTES + -(-(d + outputs) // 8) * 8
    program = [
        Descriptor.make(Op.GLOAD, length=len(gate)),
        Descriptor.make(Op.LOAD, length=pixels * INPUTS),
        Descriptor.make(
            Op.CONV,
            **common | {"cin": INPUTS, "dst": a, "w_addr": len(gate), "w_stride": stride_a},
            kernel=1,
            pool_en=1,
        ),
        Descriptor.make(
            Op.CONV,
            **common | {"cin": channels, "src": a, "dst": b, "w_stride": stride_b},
            w_addr=len(gate) + len(image_a),
            kernel=kernel,
            pool_en=sums,
            pool_base=channels if sums else 0,
        ),
        Descriptor.make(
            Op.DENSE, cin=channels, cout=outputs, dst=d, clamp_hi=255, out_list=ALL_CHANNELS
        ),
        Descriptor.make(Op.STORE, ddr=COUNTER_BYTES, length=d + outputs),
        Descriptor.make(Op.HALT, length=1),
    ]
    return Package(
        config_hash=config.hash,
        descriptors=b"".join(d.encode() for d in program),
        weights=np.concatenate([gate, image_a, image_b]).tobytes(),
        meta={"record_bytes": record, "gates": [], "exits": []},
    )


def inputs(images: int, rng: np.random.Generator) -> IntArray:
    """uint8 (images, bytes) for these programs."""
    return rng.integers(0, 256, (images, INPUTS * HEIGHT * WIDTH), dtype=np.uint8)


def _factors(rng: np.random.Generator, outputs: int, channels: int = 1) -> Dense:
    """A dense layer on `channels` sums; of a convolution its bias and factors."""
    return Dense(
        name="dense",
        input="",
        output="",
        weight=rng.integers(-127, 128, (outputs, channels), dtype=np.int8),
        bias=rng.integers(1000, 20000, outputs, dtype=np.int32),
        requantize=Requantize(
            multiplier=rng.integers(1 << 15, 1 << 16, outputs).astype(np.uint16),
            shift=np.full(outputs, 23, np.uint8),
        ),
        clamp=(0, 255),
    )
