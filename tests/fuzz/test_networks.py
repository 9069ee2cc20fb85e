"""A fixed slice of `make fuzz`: random networks, graph == golden == csim == rtl."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from penstock.compiler.errors import CompileError
from penstock.compiler.estimate.activity import decode
from penstock.program.base.errors import PenstockError
from penstock.program.core.counters import COUNTER_BYTES
from penstock.program.core.descriptor import Op
from penstock.sim.csim.engine import CsimCore
from tests.fuzz import case
from tests.fuzz.__main__ import OPTIONS, _numbers, fuzz_networks
from tests.fuzz.networks import (
    KERNELS,
    MAX_CHANNELS,
    Layer,
    Recipe,
    coded,
    enlarged,
    excited,
    joined,
    recipe,
    recipes,
)

SLICE = range(60)
CONCATS = range(24)
SQUEEZE = range(18)
SEVERAL = range(16)
SKIPS = range(24)
CODES = range(24)
LARGER = range(20)


@pytest.mark.parametrize("seed", SLICE)
def test_every_engine_agrees(seed: int) -> None:
    mismatches = case.run(case.draw(seed)).mismatches
    assert not mismatches, f"{mismatches}; again: make fuzz N=1 SEED={seed}, all others 0"


@pytest.mark.parametrize("seed", CONCATS)
def test_every_engine_agrees_on_concats(seed: int) -> None:
    mismatches = case.run(case.draw(seed, ["tiny"], "concats")).mismatches
    assert not mismatches, f"{mismatches}; again: make fuzz CONCATS=1 SEED={seed}, all others 0"


@pytest.mark.parametrize("seed", SQUEEZE)
def test_every_engine_agrees_on_squeeze_and_excite(seed: int) -> None:
    made = case.draw(seed, ["tiny"], "squeeze")
    assert not case.run(made).mismatches


@pytest.mark.parametrize("seed", SEVERAL)
def test_every_engine_agrees_on_several_images(seed: int) -> None:
    mismatches = case.run(case.draw(seed, ["tiny"], "images")).mismatches
    assert not mismatches, f"{mismatches}; again: make fuzz SEVERAL=1 SEED={seed}, all others 0"


@pytest.mark.parametrize("seed", SKIPS)
def test_every_engine_agrees_on_skipped_descriptors(seed: int) -> None:
    mismatches = case.run(case.draw(seed, ["tiny"], "skips")).mismatches
    assert not mismatches, f"{mismatches}; again: make fuzz SKIPS=1 SEED={seed}, all others 0"


@pytest.mark.parametrize("seed", LARGER)
def test_every_engine_agrees_on_larger_maps(seed: int) -> None:
    mismatches = case.run(case.draw(seed, ["tiny"], "larger")).mismatches
    assert not mismatches, f"{mismatches}; again: make fuzz LARGER=1 SEED={seed}, all others 0"


@pytest.mark.parametrize("seed", CODES)
def test_every_engine_agrees_on_zero_points_and_three_scales(seed: int) -> None:
    mismatches = case.run(case.draw(seed, ["tiny"], "codes")).mismatches
    assert not mismatches, f"{mismatches}; again: make fuzz CODES=1 SEED={seed}, all others 0"


def test_a_copy_of_more_channels_than_one_descriptor_has() -> None:
    """A Concat of 140 channels behind a stride: `tiny` copies 128 at once."""
    made = case.draw(717608141, ["tiny"], "concats")
    copies = [d for d in decode(made.network.package) if d.op == Op.COPY]
    assert made.config.max_channels in [copy.cout for copy in copies]
    assert not case.run(made).mismatches


def test_what_the_core_would_refuse_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PenstockError("internal error: the core would refuse")

    monkeypatch.setattr(case, "draw", refuse)
    assert case.run_seed(1, ["tiny"]).mismatches == ("internal error: the core would refuse",)


def test_a_classifier_does_not_overtake_the_sums_of_another_part() -> None:
    """Seed 154: the block before it was skipped, a part of another Concat still made its sums."""
    made = case.draw(154, ["tiny"], "concats")
    layers = made.network.package.meta["layers"]
    names = [layer["name"] for layer in layers]
    at = names.index("dense24")
    assert layers[at - 1]["kind"] == "pool" and names[at - 1] == "conv11.y.pool"
    assert not case.run(made).mismatches


#: Networks in which a DENSE, behind a CONV that was skipped, overtook one that still drained.
OVERTAKEN = (
    ("", 770023, "tiny,z7020"),
    ("", 6601232, "tiny"),
    ("", 6601273, "tiny"),
    ("", 6601414, "tiny"),
    ("squeeze", 7100028, "tiny"),
)


@pytest.mark.parametrize("family, seed, configs", OVERTAKEN)
def test_a_dense_does_not_overtake_a_convolution_that_drains(
    family: str, seed: int, configs: str
) -> None:
    """What the convolution had left to write reached an address behind the bytes of the DENSE."""
    assert not case.run(case.draw(seed, configs.split(","), family)).mismatches


@given(chosen=recipes() | recipes(joined) | recipes(excited) | recipes(coded) | recipes(enlarged))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_programs_mean_what_their_graphs_do(chosen: Recipe) -> None:
    """graph == golden alone, where hypothesis can shrink a failure."""
    try:
        made = case.make(chosen)
    except CompileError:
        return  # no room on `tiny`
    expected = made.network.run_graph(made.inputs)
    got = case.golden.run(made.network.package, made.inputs)
    np.testing.assert_array_equal(got[:, COUNTER_BYTES:], expected[:, COUNTER_BYTES:])


def test_the_slice_has_everything() -> None:
    """Each kind of layer and gate, and scores all 0, all 1 and mixed, in several cases."""
    found = [name for seed in SLICE for name in case.features(case.draw(seed))]
    wanted = [f"kernel {k} stride {s}" for k in KERNELS for s in (1, 2)]
    wanted += [f"{kind} pool stride {s}" for kind in ("maximum", "average") for s in (1, 2)]
    wanted += [f"{kind} gate{b}" for kind in ("block", "channel") for b in ("", " binary")]
    wanted += ["residual", "all closed", "all open", "mixed scores", "dense head"]
    wanted += ["extreme numbers", "depthwise stride 1", "depthwise stride 2"]
    wanted += ["groups stride 1"]
    wanted += ["exit taken", "exit not taken", "int16 logits", "exit taken with int16 logits"]
    wanted += ["sequential", "parallel", *case.CONFIGS]
    assert {name: found.count(name) for name in wanted if found.count(name) < 2} == {}


def test_the_slice_has_several_images() -> None:
    cases = [case.draw(seed, ["tiny"], "images") for seed in SEVERAL]
    found = [name for one in cases for name in case.features(one)]
    wanted = [f"{count} images a run" for count in (2, 3, 4)]
    wanted += ["rows between images cleared", "residual", "depthwise stride 1", "dense head"]
    assert {name: found.count(name) for name in wanted if found.count(name) < 2} == {}


def test_the_slice_has_zero_points_and_three_scales() -> None:
    cases = [case.draw(seed, ["tiny"], "codes") for seed in CODES]
    found = [name for one in cases for name in case.features(one)]
    wanted = ["sum at three scales", "zero point off the map", "block gate", "channel gate"]
    wanted += ["sum in one descriptor", "sum by channels"]
    wanted += ["rows between images cleared", "part copied", "extreme numbers"]
    assert {name: found.count(name) for name in wanted if found.count(name) < 2} == {}


def test_the_slice_has_every_concat() -> None:
    """By address, with copies of parts and of residuals; with gates and exits behind them."""
    cases = [case.draw(seed, ["tiny"], "concats") for seed in CONCATS]
    found = [name for one in cases for name in case.features(one)]
    wanted = [f"Concat of {count}" for count in (2, 3, 4)]
    wanted += ["Concat by address", "part copied", "residual copied for a Concat"]
    wanted += ["block gate", "channel gate", "exit taken", "depthwise stride 1"]
    assert {name: found.count(name) for name in wanted if found.count(name) < 2} == {}


def test_the_slice_has_squeeze_and_excite() -> None:
    """In most of its cases, beside gates that decide, strides and Concats."""
    cases = [case.draw(seed, ["tiny"], "squeeze") for seed in SQUEEZE]
    found = [name for one in cases for name in case.features(one)]
    wanted = ["squeeze-and-excite", "channel gate", "residual", "kernel 3 stride 2"]
    assert {name: found.count(name) for name in wanted if found.count(name) < 2} == {}
    assert found.count("squeeze-and-excite") >= len(cases) // 2


def test_the_slice_has_skipped_descriptors() -> None:
    """Between a CONV and each unit that may start beside it; in both schedules, narrow networks."""
    cases = [case.draw(seed, ["tiny"], "skips") for seed in SKIPS]
    found = [name for one in cases for name in case.features(one)]
    wanted = ["CONV .. CONV", "CONV .. GATE", "CONV .. DENSE", "GATE .. CONV"]
    wanted += ["parallel", "sequential", "squeeze-and-excite", "mixed scores"]
    assert {name: found.count(name) for name in wanted if found.count(name) < 4} == {}
    sizes = [
        layer.channels for one in cases for layer in one.recipe.layers if isinstance(layer, Layer)
    ]
    assert np.mean([size <= 9 for size in sizes]) > 0.9


def test_recipes_reach_the_corners() -> None:
    chosen = [recipe(random.Random(seed)) for seed in range(400)]
    layers = [layer for one in chosen for layer in one.layers if isinstance(layer, Layer)]
    channels = {layer.channels for layer in layers}
    assert {1, 2, MAX_CHANNELS} <= channels and max(channels) == MAX_CHANNELS
    assert any(one.gates and one.gates[0].source == 0 for one in chosen)  # a gated first layer
    assert any(layer.residual and layer.gate is not None for layer in layers)
    assert {side for one in chosen for side in one.shape[1:]} >= {1, 2, 3, 5, 7, 19}
    assert all(1 <= count <= MAX_CHANNELS for count in channels)


def test_a_seed_is_one_case() -> None:
    first, second = case.draw(5), case.draw(5)
    assert first.network.package.encode() == second.network.package.encode()
    assert (first.inputs == second.inputs).all() and first.memory == second.memory
    assert case.draw(6).network.package.encode() != first.network.package.encode()


@pytest.mark.parametrize("at", [COUNTER_BYTES, -1, 4 * case.COUNTER_NAMES.index("executed")])
def test_one_wrong_byte_is_found(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """In the first result, the last, and in a counter."""

    class Wrong(CsimCore):
        def run(self, *arguments: Any) -> Any:
            records = super().run(*arguments)
            records[-1, at] ^= 1
            return records

    monkeypatch.setattr(case, "_csim", Wrong)
    (mismatch,) = case.run(case.draw(1, ["tiny"])).mismatches
    assert mismatch.startswith("csim: counter executed" if at > 0 and at < 64 else "csim: 1 bytes")


def test_a_failure_says_how_to_repeat_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(CsimCore):
        def run(self, *arguments: Any) -> Any:
            raise OSError("gone")

    monkeypatch.setattr(case, "_csim", Broken)
    summary = fuzz_networks(range(7, 8), ["tiny"], 1)
    assert summary["mismatches"] == 1
    again = "make fuzz N=1 CONCATS=0 SQUEEZE=0 SKIPS=0 CODES=0 LARGER=0 SEVERAL=0 TANGLES=0"
    assert f"{again} FILES=0 ONNX=0 SEED=7 CONFIGS=tiny" in capsys.readouterr().out
    for option in (
        "concats",
        "squeeze",
        "skips",
        "codes",
        "several",
        "tangles",
    ):  # each its own, alone
        numbers = _numbers(OPTIONS.get(option, ("tangles", ""))[0])
        assert f"{option.upper()}=1" in numbers and numbers.count("=1") == 1
    assert summary["failures"][0]["mismatches"] == ("csim: OSError: gone",)


def test_the_runner_in_two_processes(repository: Path, tmp_path: Path) -> None:
    """Seed 1348 was a wrong result once."""
    options = ["--networks", "2", "--seed", "1348", "--configs", "tiny,z7020", "--jobs", "2"]
    options += ["--concats", "1", "--files", "4", "-o", str(tmp_path / "fuzz.json")]
    command = [sys.executable, "-m", "tests.fuzz", *options]
    subprocess.run(command, cwd=repository, check=True, capture_output=True)
    summary = json.loads((tmp_path / "fuzz.json").read_text())
    networks = summary["networks"]
    seeds = (networks["first_seed"], networks["last_seed"], networks["mismatches"])
    assert seeds == (1348, 1349, 0)
    assert networks["networks"] == 2 and networks["seconds_per_network"]["mean"] > 0
    concats = summary["networks with Concats"]
    assert (concats["networks"], concats["mismatches"]) == (1, 0)
    assert summary["networks as files"]["files"] == 4
    assert summary["programs and arrays"]["files"] == 1
