"""Steps of what activations read: no wider than their results ask for."""

import numpy as np

from penstock.compiler.calibration.points import VIEWS, Points
from penstock.compiler.calibration.ranges import TINY
from penstock.compiler.importer.curves.find import Curves, find_curves
from penstock.compiler.importer.curves.reach import codes_of_curve, reach
from penstock.compiler.importer.net import Net


def narrow_sources(net: Net, points: Points, scales: dict[str, float]) -> dict[str, float]:
    """The scales, those of what activations alone read reduced to where their results' codes end.

    An activation is nearly constant far below zero: numbers there need no steps of their own.
    """
    curves = find_curves(net)
    shared = [head for name, head in points.group.items() if name != head]
    narrowed = dict(scales)
    for root in dict.fromkeys(curves.roots.values()):
        results = _results(net, curves, root, scales)
        alone = points.group.get(root) == root and root not in shared
        if not alone or results is None or root not in scales or root == net.input:
            continue
        levels = 255 if points.unsigned[root] else 127
        largest = scales[root] * levels
        needed = 0.0
        for name, point in results.items():
            codes = codes_of_curve(net, curves, name, scales[point], not points.unsigned[point])
            ends = reach(codes, 0.0 if points.unsigned[root] else -largest, largest)
            needed = max(needed, *map(abs, ends))
        narrowed[root] = float(np.float32(max(needed / levels, TINY)))
    return narrowed


def _results(
    net: Net, curves: Curves, root: str, scales: dict[str, float]
) -> dict[str, str] | None:
    """Inside tensors that leave -> the point that quantises them; None where the root, or one of
    them, is read without a quantiser."""
    found: dict[str, str] = {}
    origin = {name: name for name, each in curves.roots.items() if each == root}
    for node in net.nodes:
        if node.output in origin:
            continue
        if root in node.inputs:
            return None
        for name in node.inputs:
            if name not in origin:
                continue
            if name in scales:
                found[origin[name]] = name
            elif node.op in VIEWS:
                origin[node.output] = origin[name]
            else:
                return None
    for name in net.results:
        if name == root:
            return None
        if name in origin:
            found[origin[name]] = name
    return found
