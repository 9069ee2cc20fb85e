"""Attributes that lowering does not name must have ONNX's default, whatever the operator."""

import dataclasses
from typing import Any

import onnx
import pytest

from penstock.compiler.errors import CompileError
from penstock.compiler.importer.lower.network import HANDLERS
from penstock.compiler.importer.net import Net, OpNode
from penstock.compiler.importer.refusals.check_attributes import UNDERSTOOD, check_attributes

OPSETS = (13, 18, 19, 21)


def net_of(op: str, opset: int, **attrs: Any) -> Net:
    node = OpNode(name="node", op=op, inputs=("x",), outputs=("y",), attrs=attrs)
    return Net(
        name="net", nodes=(node,), constants={}, shapes={}, types={}, input="x", output="y",
        metadata={}, opset=opset,
    )  # fmt: skip


def attributes_of(op: str, opset: int) -> dict[str, Any]:
    """Of an operator; none where the opset has it not yet."""
    try:
        return dict(onnx.defs.get_schema(op, opset).attributes)
    except onnx.defs.SchemaError:
        return {}


def attributes() -> list[tuple[str, int, str, Any]]:
    """(operator, opset, attribute, default) of everything that lowering handles and does not
    name."""
    found = []
    for op in sorted(HANDLERS):
        for opset in OPSETS:
            for name, attribute in attributes_of(op, opset).items():
                if name not in UNDERSTOOD.get(op, ()):
                    found.append((op, opset, name, attribute.default_value))
    return found


@pytest.mark.parametrize(("op", "opset", "name", "default"), attributes())
def test_another_value_than_the_default_is_refused(
    op: str, opset: int, name: str, default: Any
) -> None:
    value = onnx.helper.get_attribute_value(default)
    check_attributes(net_of(op, opset, **{name: value}))
    with pytest.raises(CompileError, match=rf"node 'node' \({op}\): has {name} = "):
        check_attributes(net_of(op, opset, **{name: value + 1}))


def test_what_is_named_exists() -> None:
    """Each name is one of the operator's attributes in some opset."""
    for op, names in UNDERSTOOD.items():
        known = {n for opset in OPSETS for n in attributes_of(op, opset)}
        assert names <= known | {"output_dtype", "scales"}  # Upsample of opset 7


def test_saturate_is_one_of_them(net: Any, refuse: Any) -> None:
    refuse(
        lambda n: n.node(
            "QuantizeLinear", n.conv(n.image(), 4), n.const(0.04), name="q", saturate=0
        ),
        "node 'q' (QuantizeLinear): has saturate = 0, which the core has not; export it without sa",
        opset=19,
    )


def test_every_node_is_looked_at(net: Any) -> None:
    first = net_of("Relu", 18)
    nodes = (*first.nodes, *net_of("Cast", 19, to=1, saturate=0).nodes)
    with pytest.raises(CompileError, match="has saturate = 0"):
        check_attributes(dataclasses.replace(first, nodes=nodes, opset=19))
