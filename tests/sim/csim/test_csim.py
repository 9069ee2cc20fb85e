"""golden == csim, byte for byte: results, and every counter golden knows."""

import numpy as np
import pytest

from penstock.compiler.ir import Graph
from penstock.compiler.pipeline import compile_graph
from penstock.engines import COUNTED
from penstock.hls.sources import HlsError, Types
from penstock.program.core.config import CONFIGS, get_config
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.network.package import Package
from penstock.sim import golden
from penstock.sim.csim.build import build_csim
from penstock.sim.csim.engine import CsimCore
from penstock.sim.rtl.engine import RtlCore
from tests.compiler.back.graphs import (
    bottleneck,
    depthwise,
    imagenet_form,
    lcnet,
    mobilenet,
    multi_exit,
    random_inputs,
    single_conv,
    single_pool,
    zero_points,
)
from tests.compiler.back.test_stream import wide

RNG = np.random.default_rng
SCHEDULES = ("sequential", "parallel")


def counters(records: np.ndarray) -> dict[str, np.ndarray]:
    words = np.ascontiguousarray(records[:, :COUNTER_BYTES]).view("<u4")
    return {name: words[:, i] for i, name in enumerate(COUNTER_NAMES)}


def assert_equal(package: Package, images: int, types: Types = Types.PLAIN) -> np.ndarray:
    """Every byte of every result and every counter golden knows; csim's records."""
    inputs, _ = random_inputs(package, images, RNG(images))
    expected = golden.run(package, inputs)
    got = CsimCore(package.config, types=types).run(package, inputs)
    np.testing.assert_array_equal(got[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])
    for name in COUNTED["golden"]:
        np.testing.assert_array_equal(counters(got)[name], counters(expected)[name], name)
    return got


def check(graph: Graph, config: str, schedule: str = "sequential", images: int = 3) -> np.ndarray:
    return assert_equal(compile_graph(graph, get_config(config), schedule), images)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 8, 8), (4, 9, 13), (3, 24, 20), (2, 2, 33)])
def test_single_convolution(
    config: str, kernel: int, stride: int, shape: tuple[int, int, int]
) -> None:
    rng = RNG(kernel * 10 + stride)
    for residual, signed in ((False, True), (True, False)):
        check(single_conv(rng, shape, 6, kernel, stride, residual, signed), config)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("channels", [1, 2, 3, 7, 8, 9, 15, 16, 17, 33])
def test_output_channels_around_the_rows(config: str, channels: int) -> None:
    for shape in ((3, 5, 6), (1, 4, 4)):  # more and fewer steps a tile than rows to drain
        for kernel in (1, 3):
            check(single_conv(RNG(channels), shape, channels, kernel), config)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("keep", [-16.0, -0.5, 0.0, 0.5, 16.0])
@pytest.mark.parametrize("binary", [False, True])
def test_gated_networks(config: str, schedule: str, keep: float, binary: bool) -> None:
    rng = RNG(5)
    check(lcnet(rng, (3, 12, 10), (12, 20, 36), keep=keep, binary=binary), config, schedule, 4)
    deep = lcnet(rng, (1, 9, 7), (8, 16), blocks=2, keep=keep, binary=binary)
    check(deep, config, schedule, 4)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("stride", [1, 2])
def test_bottleneck_with_two_lists(schedule: str, stride: int) -> None:
    for seed in range(6):
        check(bottleneck(RNG(seed), stride), "tiny", schedule)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(3, 2, 1), (2, 2, 0), (1, 2, 0), (7, 1, 3)])
@pytest.mark.parametrize("average", [False, True])
def test_pools(config: str, kernel: int, stride: int, pad: int, average: bool) -> None:
    if average and kernel == 1:
        pytest.skip("an average of one pixel")
    for shape, signed in (((3, 9, 14), True), ((2, 8, 35), False), ((1, 7, 7), True)):
        check(single_pool(RNG(kernel), shape, kernel, stride, pad, average, signed), config)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2), (7, 1)])
def test_depthwise(config: str, kernel: int, stride: int) -> None:
    for shape, residual in (((9, 4, 5), False), ((3, 13, 11), True)):
        check(depthwise(RNG(kernel), shape, kernel, stride, residual, not residual), config)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("signed", [False, True])
def test_zero_points(config: str, signed: bool) -> None:
    for shape in ((3, 7, 9), (2, 18, 16)):
        check(zero_points(RNG(5), shape, signed), config)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("keep", [-16.0, 0.2, 16.0])
def test_gated_inverted_residuals(schedule: str, keep: float) -> None:
    check(mobilenet(RNG(7), (3, 11, 14), keep), "tiny", schedule, images=4)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_imagenet_form(schedule: str) -> None:
    check(imagenet_form(RNG(4), (3, 33, 30), (4, 6, 8), (2, 1, 1)), "tiny", schedule)


@pytest.mark.parametrize("config", CONFIGS)
def test_exits(config: str) -> None:
    graph = multi_exit(RNG(3), (2, 9, 8), (6, 10, 12), (0.27, 0.52))
    found = counters(check(graph, config, images=24))
    assert len(set(found["exit"])) > 1


@pytest.mark.parametrize("keep", [-16.0, 0.2])
def test_gates_loaded_every_image(keep: float) -> None:
    """Parts of a gate continue the list of the part before."""
    check(wide(keep), "tiny", images=6)


@pytest.mark.parametrize("keep", [-16.0, 0.0, 16.0])
def test_the_array_steps_as_in_the_systemverilog_core(keep: float) -> None:
    """Every shape, list and tile: the same number of steps in both cores."""
    graph = lcnet(RNG(2), (2, 11, 9), (11, 13), keep=keep)
    package = compile_graph(graph, get_config("tiny"))
    inputs, _ = random_inputs(package, 3, RNG(3))  # as in assert_equal
    got = counters(assert_equal(package, 3))
    core = RtlCore(package.config)
    expected = counters(core.run(package, inputs))
    core.close()
    np.testing.assert_array_equal(got["mac"], expected["mac"])


@pytest.mark.parametrize(("keep", "most"), [(0.0, 1.3), (16.0, 1.08)])
def test_cycles_are_near_the_systemverilog_core_s(keep: float, most: float) -> None:
    """The cycle model against the simulated core: weights come under the convolution before, or
    beside a COPY, and so does a GATE (1.36 and 1.10 where each waited for its turn)."""
    package = compile_graph(lcnet(RNG(8), (1, 8, 8), (16, 32, 64), keep=keep), get_config("z7020"))
    inputs, _ = random_inputs(package, 4, RNG(4))  # as in assert_equal
    got = counters(assert_equal(package, 4))["cycles"].mean()
    core = RtlCore(package.config)
    expected = counters(core.run(package, inputs))["cycles"].mean()
    core.close()
    assert got <= most * expected


def test_the_classes_add_up_to_the_cycles() -> None:
    package = compile_graph(lcnet(RNG(2), (2, 16, 16), (11, 13)), get_config("z7020"))
    got = counters(assert_equal(package, 3))
    classes = ("mac", "weight_wait", "drain", "gate", "copy", "io", "overhead")
    np.testing.assert_array_equal(sum(got[name] for name in classes), got["cycles"])
    assert all((got[name] > 0).all() for name in ("mac", "weight_wait", "drain", "io", "overhead"))


@pytest.mark.parametrize(
    "config, images",
    [("tiny", 3), *(pytest.param(c, 24, marks=pytest.mark.long) for c in CONFIGS)],
)
def test_ap_types_on_many_images(config: str, images: int) -> None:
    package = compile_graph(lcnet(RNG(6), (1, 8, 8), (8, 16), keep=0.0), get_config(config))
    with_ap = assert_equal(package, images, Types.AP)
    plain = assert_equal(package, images)
    np.testing.assert_array_equal(with_ap, plain)  # every counter, estimates included


@pytest.mark.long
def test_ap_types_on_resnet20() -> None:
    graph = lcnet(RNG(20), (3, 32, 32), blocks=3, keep=0.0)
    assert_equal(compile_graph(graph, get_config("z7020")), 1, Types.AP)


def test_estimated_cycles_are_the_sum_of_their_classes() -> None:
    package = compile_graph(lcnet(RNG(1), (2, 8, 8), (8, 12)), get_config("z7020"))
    found = counters(assert_equal(package, 2))
    names = ("mac", "weight_wait", "drain", "gate", "copy", "io", "overhead")
    parts = [found[name] for name in names]
    assert (found["cycles"] == np.sum(parts, axis=0)).all()
    assert (found["read_bytes"] > found["weight_bytes"]).all()


def test_a_second_run_is_like_the_first() -> None:
    package = compile_graph(lcnet(RNG(1), (2, 6, 8), (6, 10)), get_config("tiny"))
    inputs, _ = random_inputs(package, 4, RNG(0))
    core = CsimCore("tiny")
    first = core.run(package, inputs)
    np.testing.assert_array_equal(core.run(package, inputs), first)
    np.testing.assert_array_equal(core.run(package, inputs[2:])[:, 64:], first[2:, 64:])


def test_an_error_of_the_core_is_raised() -> None:
    package = compile_graph(lcnet(RNG(1), (2, 6, 8), (6, 10)), get_config("tiny"))
    with pytest.raises(HlsError, match=r"stopped with CONFIG, at image 0, descriptor 0"):
        CsimCore("z7020").run(package, random_inputs(package, 1, RNG(0))[0])


def test_the_library_is_built_once() -> None:
    first = build_csim(get_config("tiny"))
    stamp = first.stat().st_mtime_ns
    assert build_csim(get_config("tiny")) == first
    assert first.stat().st_mtime_ns == stamp
    assert build_csim(get_config("z7020")) != first


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(HlsError, match=r"'g\+\+' is missing.*apt-get install g\+\+"):
        build_csim(get_config("tiny"))
