"""golden == rtl, byte for byte, and every counter golden knows: what POOL and stems add."""

import numpy as np
import pytest

from penstock.compiler.ir import Graph
from penstock.compiler.pipeline import compile_graph
from penstock.engines import COUNTED
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.network.exits import exits_taken, with_thresholds
from penstock.sim import golden
from penstock.sim.rtl.engine import RtlCore
from tests.compiler.back.graphs import (
    densenet,
    depthwise,
    imagenet_form,
    mobilenet,
    multi_exit,
    random_inputs,
    single_pool,
    staged,
    zero_points,
)
from tests.compiler.back.test_stream import wide

RNG = np.random.default_rng


def check(graph: Graph, config: str, schedule: str = "sequential", images: int = 3) -> None:
    package = compile_graph(graph, get_config(config), schedule)
    inputs, _ = random_inputs(package, images, RNG(images))
    expected, got = golden.run(package, inputs), RtlCore(config).run(package, inputs)
    np.testing.assert_array_equal(got[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])
    for name in COUNTED["golden"]:
        at = 4 * COUNTER_NAMES.index(name)
        np.testing.assert_array_equal(got[:, at : at + 4], expected[:, at : at + 4], name)


@pytest.mark.parametrize("config", ["tiny", "z7020"])
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(3, 2, 1), (2, 2, 0), (1, 2, 0), (7, 1, 3)])
def test_pools(config: str, kernel: int, stride: int, pad: int) -> None:
    for average in (False, True)[: 1 if kernel == 1 else 2]:
        for shape, signed in (((3, 9, 14), True), ((2, 8, 35), False), ((1, 7, 7), True)):
            check(single_pool(RNG(kernel), shape, kernel, stride, pad, average, signed), config)


@pytest.mark.parametrize("config", ["tiny", "z7020"])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2), (7, 1)])
def test_depthwise(config: str, kernel: int, stride: int) -> None:
    """Maps smaller and larger than the widest tile, with and without a residual."""
    for shape, residual in (((9, 4, 5), False), ((3, 13, 11), True)):
        check(depthwise(RNG(kernel), shape, kernel, stride, residual, not residual), config)


@pytest.mark.parametrize("config", ["tiny", "z7020"])
@pytest.mark.parametrize("signed", [False, True])
def test_zero_points(config: str, signed: bool) -> None:
    for shape in ((3, 7, 9), (2, 18, 16)):
        check(zero_points(RNG(5), shape, signed), config)


@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
@pytest.mark.parametrize("keep", [-16.0, 0.2, 16.0])
def test_gated_inverted_residuals(schedule: str, keep: float) -> None:
    check(mobilenet(RNG(7), (3, 11, 14), keep), "tiny", schedule, images=4)


@pytest.mark.parametrize("config", ["tiny", "z7020"])
@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
@pytest.mark.parametrize("keep", [-16.0, 0.3, 16.0])
def test_imagenet_form(config: str, schedule: str, keep: float) -> None:
    """Stem, max-pool with gates behind it, bottlenecks of three stages, odd sides."""
    graph = imagenet_form(RNG(4), (3, 33, 30), (4, 6, 8), (2, 1, 1), keep=keep)
    check(graph, config, schedule, images=4)


@pytest.mark.parametrize("config", ["tiny", "z7020"])
@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
def test_exits(config: str, schedule: str) -> None:
    """Every exit taken, by images in turn: what one leaves behind does not reach the next."""
    graph = multi_exit(RNG(3), (2, 9, 8), (6, 10, 12), (0.27, 0.52))
    check(graph, config, schedule, images=24)


@pytest.mark.parametrize("reuse", [((), (0,), (0, 1)), ((), (0,), (1,))])
def test_stages(reuse: tuple[tuple[int, ...], ...]) -> None:
    """Concats of earlier stages' maps, read with both strides and by heads; all exits taken."""
    graph = staged(RNG(6), (2, 9, 8), reuse=reuse)
    package = compile_graph(graph, get_config("tiny"))
    inputs, _ = random_inputs(package, 8, RNG(3))
    core, taken = RtlCore("tiny"), set[int]()
    for thresholds in ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0)):
        changed = with_thresholds(package, thresholds)
        expected, got = golden.run(changed, inputs), core.run(changed, inputs)
        np.testing.assert_array_equal(got[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])
        taken |= set(exits_taken(got, package.meta).tolist())
    assert taken == {0, 1, 2}


@pytest.mark.parametrize("config", ["tiny", "z7020"])
def test_dense_block(config: str) -> None:
    """Affine steps and convolutions of all maps so far; a transition."""
    check(densenet(RNG(5), (3, 9, 8)), config)


@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
@pytest.mark.parametrize("keep", [-16.0, 0.2, 16.0])
def test_masked_dense_block(schedule: str, keep: float) -> None:
    """Zeros of masked channels, then the survivors in their places."""
    check(densenet(RNG(5), (3, 9, 8), 6, 5, keep=keep), "tiny", schedule, images=4)


@pytest.mark.parametrize("keep", [-16.0, 0.2])
def test_gates_loaded_every_image(keep: float) -> None:
    """Parts of a gate continue the list of the part before."""
    check(wide(keep), "tiny", images=6)
