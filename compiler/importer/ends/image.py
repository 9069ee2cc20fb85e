"""Pass: what moves the image's numbers, or works on real ones, comes before its quantiser.

Transpose and reshapes commute with a quantiser of one scale, so that Quantize, Dequantize,
Transpose of the image becomes Transpose, Quantize, Dequantize: the host moves real numbers, and the
core reads what the quantiser made.
"""

import dataclasses

import numpy as np
from onnx import TensorProto

from penstock.compiler.importer.ends.steps import VIEWS, to_steps
from penstock.compiler.importer.net import Net, OpNode

QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
#: Codes at the end of their type: (type, zero point) -> type and what to add for zero point 0.
ENDS = {("int8", -128): ("uint8", 128), ("uint8", 128): ("int8", -128)}
ONNX_TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


def move_codes(net: Net) -> Net:
    """An integer image whose zero point is the end of its type becomes codes from 0: int8 with -128
    is uint8 with 0.  Legal always; preserves the real numbers."""
    name = net.input
    while True:
        readers = [i for i, node in enumerate(net.nodes) if name in node.inputs]
        if len(readers) != 1 or name in net.results:
            return net
        node = net.nodes[readers[0]]
        if node.op == "DequantizeLinear" and _one_scale(net, node) and len(node.inputs) > 2:
            zero = net.constants[node.inputs[2]]
            end = ENDS.get((zero.dtype.name, int(zero.reshape(()))))
            return net if end is None else _moved(net, readers[0], *end)
        if node.op != "Transpose" and node.op not in VIEWS:
            return net
        name = node.output


def _moved(net: Net, index: int, kind: str, shift: int) -> Net:
    """The network that casts to `kind` before the dequantiser `index`, with `shift` added."""
    node, fresh = net.nodes[index], net.fresh_names()
    source = node.inputs[0]
    arrays = {
        fresh(f"{source}.shift"): np.array(shift, np.int16),
        fresh(f"{source}.zero"): np.array(0, kind),
    }
    step, zero = arrays
    types, shapes = dict(net.types), dict(net.shapes)
    nodes = []
    for op, target, others, attrs in (
        ("Cast", "int16", (), {"to": TensorProto.INT16}),
        ("Add", "int16", (step,), {}),
        ("Cast", kind, (), {"to": ONNX_TYPES[kind]}),
    ):
        name = fresh(f"{source}.{target}")
        types[name], shapes[name] = target, shapes[source]
        inputs = (source, *others)
        nodes.append(OpNode(name=name, op=op, inputs=inputs, outputs=(name,), attrs=attrs))
        source = name
    nodes.append(dataclasses.replace(node, inputs=(source, node.inputs[1], zero)))
    return net.replace(
        nodes=(*net.nodes[:index], *nodes, *net.nodes[index + 1 :]),
        constants={**net.constants, **arrays},
        types=types | {name: array.dtype.name for name, array in arrays.items()},
        shapes=shapes | {name: array.shape for name, array in arrays.items()},
    )


def quantize_last(net: Net) -> Net:
    """Move the views of the image before its quantisers.  Legal where each has one reader and one
    scale; preserves every value behind them."""
    while True:
        moved = _move_one(net)
        if moved is None:
            return net
        net = moved


def _move_one(net: Net) -> Net | None:
    """The network with one view moved before one quantiser, None if none is behind any."""
    nodes = list(net.nodes)
    kept = set(net.results)
    source = net.input
    while True:
        readers = [i for i, node in enumerate(nodes) if source in node.inputs]
        if len(readers) != 1 or source in kept:
            return None
        node = nodes[readers[0]]
        if node.op in QUANTIZERS and _one_scale(net, node):
            behind = [i for i, other in enumerate(nodes) if node.output in other.inputs]
            if node.output not in kept and len(behind) == 1:
                view = nodes[behind[0]]
                if _moves(net, view, node.output) and _fills_with_zero(net, view, node):
                    return _swapped(net, readers[0], behind[0])
        elif node.inputs[0] != source or to_steps(net, node) is None:
            return None
        source = node.output


def _moves(net: Net, node: OpNode, source: str) -> bool:
    """Whether a node puts the numbers of `source` elsewhere, or zeros beside them."""
    return node.inputs[0] == source and node.op in ("Pad", "Slice", "Transpose", *VIEWS)


def _fills_with_zero(net: Net, view: OpNode, quantizer: OpNode) -> bool:
    """Whether what a Pad puts there is the real 0, behind the quantiser as before it."""
    if view.op != "Pad":
        return True
    codes = quantizer.op == "QuantizeLinear"
    value, zero = (_number(net, node.optional_input(2)) for node in (view, quantizer))
    return value == (zero if codes else 0) and not view.optional_input(3)


def _number(net: Net, name: str) -> float | None:
    """A constant number, 0 where it is left out; None if it is no constant."""
    if not name:
        return 0
    known = net.constants.get(name)
    return None if known is None or known.size != 1 else float(known.reshape(()))


def _one_scale(net: Net, node: OpNode) -> bool:
    constants = [net.constants.get(name) for name in node.inputs[1:] if name]
    return all(array is not None and array.size == 1 for array in constants)


def _swapped(net: Net, first: int, second: int) -> Net:
    """The quantiser `first` and the view `second` the other way round; the last name stays."""
    nodes = list(net.nodes)
    quantizer, view = nodes[first], nodes[second]
    between = net.fresh_names()(f"{view.output}.moved")
    nodes[second] = dataclasses.replace(
        quantizer, inputs=(between, *quantizer.inputs[1:]), outputs=view.outputs
    )
    others = view.inputs[1:]
    if view.op == "Pad":  # the real 0 is a code in front of a dequantiser
        zero = quantizer.optional_input(2) if quantizer.op == "DequantizeLinear" else ""
        others = (view.inputs[1], *([zero] if zero else []))
    nodes[first] = dataclasses.replace(
        view, inputs=(quantizer.inputs[0], *others), outputs=(between,)
    )
    shapes = {**net.shapes, between: net.shapes[view.output]}
    types = {**net.types, between: net.types[quantizer.inputs[0]]}
    return net.replace(nodes=tuple(nodes), shapes=shapes, types=types)
