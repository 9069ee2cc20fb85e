"""A program that the core would refuse is never given out: a fault of the compiler's own."""

import dataclasses

import numpy as np
import pytest

from penstock.compiler.emit.legal import check_rules
from penstock.compiler.estimate.activity import decode
from penstock.compiler.pipeline import compile_graph
from penstock.program.base.errors import PenstockError
from penstock.program.core.config import get_config
from penstock.program.core.descriptor import Descriptor, Op
from tests.compiler.back.graphs import GraphBuilder, single_pool

SHAPE = (4, 6, 6)


def test_an_average_of_one_pixel_is_an_internal_error(rng: np.random.Generator) -> None:
    """Lowering makes a convolution of it; a graph that has one all the same gives no program."""
    with pytest.raises(PenstockError) as caught:
        compile_graph(single_pool(rng, SHAPE, 1, 2, average=True), get_config("tiny"))
    text = str(caught.value)
    assert text.startswith("internal error: the core would refuse descriptor ")
    assert "(an average of one pixel), at layer '" in text and "nothing was written" in text


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [("kernel", 0, "kernel 0"), ("src", (1 << 16) - 1, "source"), ("pad", 2, "pad 2")],
)
def test_every_rule_is_applied(
    rng: np.random.Generator, field: str, value: int, reason: str
) -> None:
    package = compile_graph(single_pool(rng, SHAPE, 3, 1, 1), get_config("tiny"))
    check_rules(package)
    broken = [
        Descriptor(values=d.values | {field: value}) if d.op == Op.POOL else d
        for d in decode(package)
    ]
    descriptors = b"".join(d.encode() for d in broken)
    with pytest.raises(PenstockError, match=rf"internal error: .*\({reason}\)"):
        check_rules(dataclasses.replace(package, descriptors=descriptors))


def test_a_configuration_without_a_name() -> None:
    """One of a user's own, or of a test's: its hash is none that a package finds."""
    config = dataclasses.replace(get_config("tiny"), name="own", n_lists=4)
    graph = GraphBuilder(rng=np.random.default_rng(0))
    x = graph.value("x", (2, 4, 4), signed=True)
    package = compile_graph(graph.graph(x, graph.conv(x, 3)), config)
    assert package.config_hash == config.hash
