"""Pass: an int8 image with a zero point, under padding, brings the zero point along as channels.

A convolution that pads reads code 0 off the map, where the zero point would be the real 0.  So the
host adds as many constant channels of minus the zero point, and the convolution gets its weights a
second time: w * c + w * -z is w * (c - z), and nothing where nothing is read.
"""

import dataclasses

import numpy as np

from penstock.compiler.importer.net import Net, OpNode

VIEWS = ("Reshape", "Transpose")


def image_planes(net: Net) -> Net:
    """Legal where one convolution without groups alone reads the image's codes; preserves what it
    makes."""
    found = _found(net)
    if found is None:
        return net
    quantizer, conv, weight = found
    codes = quantizer.inputs[0]
    zero = int(net.constants[quantizer.inputs[2]].reshape(()))
    fresh, shape = net.fresh_names(), net.shapes[codes]
    plane, joined, none = (fresh(f"{codes}.{end}") for end in ("plane", "planes", "no_zero_point"))
    twice = fresh(f"{conv.output}.weight_twice")
    constants = {
        **net.constants,
        plane: np.full(shape, -zero, np.int8),
        none: np.zeros((), np.int8),
        twice: np.concatenate([net.constants[weight.inputs[0]]] * 2, axis=1),
    }
    wide = (1, 2 * shape[1], *shape[2:])
    join = OpNode(
        name=joined, op="Concat", inputs=(codes, plane), outputs=(joined,), attrs={"axis": 1}
    )
    nodes: list[OpNode] = []
    for node in net.nodes:
        if node is quantizer:
            nodes.append(join)
            node = dataclasses.replace(node, inputs=(joined, node.inputs[1], none))
        elif node is weight:
            node = dataclasses.replace(node, inputs=(twice, *node.inputs[1:]))
        nodes.append(node)
    kernel = constants[twice].shape
    shapes = {
        **net.shapes, joined: wide, quantizer.output: wide, weight.output: kernel,
        **{name: constants[name].shape for name in (plane, none, twice)},
    }  # fmt: skip
    types = {**net.types, **dict.fromkeys((plane, none, twice, joined), "int8")}
    return net.replace(nodes=tuple(nodes), constants=constants, shapes=shapes, types=types)


def _found(net: Net) -> tuple[OpNode, OpNode, OpNode] | None:
    """The image's dequantiser, the convolution behind it, and its weight's dequantiser."""
    name = net.input
    while True:
        readers = [node for node in net.nodes if name in node.inputs]
        if len(readers) != 1 or name in (net.output, *net.exits):
            return None
        (node,) = readers
        if node.op == "DequantizeLinear":
            break
        if node.op not in VIEWS:
            return None
        name = node.output
    readers = [other for other in net.nodes if node.output in other.inputs]
    if len(readers) != 1 or readers[0].op != "Conv" or not _has_zero_point(net, node):
        return None
    conv = readers[0]
    weight = next((other for other in net.nodes if conv.inputs[1] in other.outputs), None)
    alone = sum(conv.inputs[1] in other.inputs for other in net.nodes) == 1
    known = weight is not None and weight.op == "DequantizeLinear" and alone
    if weight is None or not known or conv.attrs.get("group", 1) != 1 or not _pads(conv):
        return None
    integers = net.constants.get(weight.inputs[0])
    plain = len(net.shapes.get(node.output, ())) == 4 and weight.attrs.get("axis", 1) in (0, -4)
    scale = net.constants.get(weight.inputs[1])
    if integers is None or scale is None or not (plain or scale.size == 1):
        return None
    return node, conv, weight


def _has_zero_point(net: Net, node: OpNode) -> bool:
    """Whether a dequantiser of int8 has one zero point other than 0 whose negative is int8."""
    zero = net.constants.get(node.optional_input(2))
    one = zero is not None and zero.size == 1 and zero.dtype == np.int8
    return one and zero is not None and int(zero.reshape(())) not in (0, -128)


def _pads(conv: OpNode) -> bool:
    """Whether a convolution reads beside its map."""
    return bool(any(conv.attrs.get("pads", ()))) or "SAME" in conv.attrs.get("auto_pad", "")
