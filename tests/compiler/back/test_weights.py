"""Both weight layouts, read back by the golden engine's own decoder."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.compiler.ir import Requantize
from penstock.compiler.plan.weights import pack_interleaved, pack_rows
from penstock.program.core.config import get_config
from penstock.program.core.descriptor import Descriptor, Op
from penstock.sim.golden.convolution import read_rows


@given(
    config=st.sampled_from(["tiny", "z7020"]),
    rows=st.booleans(),
    outputs=st.integers(1, 20),
    inputs=st.integers(0, 6),
    kernel=st.sampled_from([1, 3, 5]),
    seed=st.integers(0, 99),
)
def test_round_trip(
    config: str, rows: bool, outputs: int, inputs: int, kernel: int, seed: int
) -> None:
    core, rng = get_config(config), np.random.default_rng(seed)
    weight = rng.integers(-128, 128, (outputs, inputs, kernel, kernel), dtype=np.int8)
    bias = rng.integers(-(2**31), 2**31, outputs, dtype=np.int32)
    factors = Requantize(
        multiplier=rng.integers(0, 1 << 16, outputs).astype(np.uint16),
        shift=rng.integers(1, 48, outputs).astype(np.uint8),
    )
    if rows:
        image, stride = pack_rows(weight, bias, factors)
    else:
        image, stride = pack_interleaved(weight, bias, factors, core)
        assert stride == 8 * core.p_oc + inputs * core.chunk_bytes(kernel)
    assert len(image) % 8 == stride % 8 == 0
    d = Descriptor.make(
        Op.CONV,
        w_rows=rows,
        kernel=kernel,
        cin=inputs,
        cout=outputs,
        w_addr=16,
        w_stride=stride,
    )
    blob = np.concatenate([rng.integers(0, 256, 16, dtype=np.uint8), image])
    got = read_rows(d, blob, core)
    assert (got.weight == weight.reshape(outputs, inputs, kernel * kernel)).all()
    assert (got.bias == bias).all()
    assert (got.multiplier == factors.multiplier).all()
    assert (got.shift == factors.shift).all()


@pytest.mark.parametrize("config, expected", [("tiny", 12), ("z7020", 9)])
def test_taps_fill_whole_beats(config: str, expected: int) -> None:
    assert get_config(config).row_taps(3, w_rows=False) == expected
