"""The table of several images a run, on a small network in the place of VGG16-BN."""

import dataclasses

import numpy as np
import pytest

from penstock.bench.rows import several
from penstock.bench.tables.static import run_table, several_layers
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.pipeline import compile_graph
from penstock.program.core.config import get_config
from tests.compiler.back.test_stack import vgg


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled for `z7020`, whose 16 lanes three 2 x 2 maps fill."""

    def compiled(network: str, images: int) -> CompiledNetwork:
        graph = vgg(np.random.default_rng(1), last=40)
        return CompiledNetwork(package=compile_graph(graph, get_config("z7020"), images=images))

    monkeypatch.setattr(several, "compiled", compiled)


@pytest.mark.usefixtures("small")
def test_rows_compare_with_golden_and_with_one_image_a_run() -> None:
    pixels = np.random.default_rng(2).integers(-128, 128, (3, 3, 8, 8)).astype(np.float32)
    single = several.singles("small", pixels)
    one, three = (several.measure("small", count, pixels, single) for count in (1, 3))
    assert (one.mismatches, three.mismatches) == (0, 0)
    assert one.macs == three.macs
    assert three.cycles < 2 * one.cycles
    assert abs(three.predicted / three.cycles - 1) < 0.02
    assert several.measure("small", 3, pixels, single + 1).mismatches == 30


@pytest.mark.usefixtures("small")
def test_tables() -> None:
    row = several.Row(
        network="small",
        images=2,
        cycles=2000,
        predicted=2010,
        weight_bytes=500,
        macs=64_000,
        mismatches=0,
    )
    assert run_table([dataclasses.asdict(row)]).splitlines()[2] == (
        "| small | 2 | 2,000 | 1,000 | +0.50% | 0.500 | 250 | 0.0 | 0 |"
    )
    kinds = {str(n): several.by_kind(several.compiled("small", n)) for n in (1, 3)}
    lines = several_layers("small", kinds).splitlines()
    assert lines[0].startswith("| small on z7020 | cycles, one image a run |")
    conv = next(line for line in lines if line.startswith("| conv4 "))
    assert float(conv.split("|")[5]) > 2 * float(conv.split("|")[3])
