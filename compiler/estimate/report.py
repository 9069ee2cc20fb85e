"""The compiler's report: sizes, MACs and predicted cycles, whole and per descriptor."""

from typing import Any

import numpy as np

from penstock.compiler.estimate import cost
from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.macs import count_macs
from penstock.compiler.ir import Graph
from penstock.compiler.numerics import SCORE_ONE
from penstock.program.core.descriptor import Descriptor, Op
from penstock.program.network.package import Package


def _uniform(package: Package, value: int) -> dict[str, np.ndarray]:
    """Two equal images: the first pays what runs once, the second is the steady state."""
    gates = package.meta["gates"]
    return {gate["name"]: np.full((2, gate["count"]), value, np.uint8) for gate in gates}


def _predict(package: Package, value: int) -> cost.Prediction:
    width = sum(gate["count"] for gate in package.meta["gates"])
    return cost.predict_memory(package, np.full((2, width), value, np.uint8), cost.Timing())


def _concats(package: Package, cycles: np.ndarray) -> dict[str, Any]:
    """Rows of maps that are Concats by their addresses, and what is copied all the same.

    `copies`: of parts that no one order of addresses serves, and of residuals that are read again.
    """
    rows: dict[str, list[str]] = {}
    for block in package.meta["memory"]:
        if "row" in block:
            rows.setdefault(block["row"], []).append(block["name"])
    copies = [i for i, layer in enumerate(package.meta["layers"]) if layer.get("kind") == "copy"]
    return {
        "rows": rows,
        "copies": {"descriptors": len(copies), "cycles": int(cycles[copies].sum())},
    }


def bias_figures(graph: Graph) -> dict[str, Any]:
    """What making integers of the biases costs, JSON-ready: in steps of each layer's result, of
    the layers whose biases are no whole steps of the accumulator, and where a finer accumulator
    was taken for some channels."""
    names = {node.name for node in graph.nodes}
    layers = [
        {"layer": item.layer, "error": item.error, "finer_channels": item.finer_channels}
        for item in graph.rounding
        if item.layer in names and (item.error or item.finer_channels)
    ]
    worst = max((item.error for item in graph.rounding if item.layer in names), default=0.0)
    return {"worst_error": worst, "layers": layers}


def build_report(package: Package) -> dict[str, Any]:
    """Figures with every gate open and every gate closed, JSON-ready; cycles are estimates.

    Cycles and weight bytes are a run's, MACs an image's.
    """
    meta, config = package.meta, package.config
    opened, closed = _predict(package, SCORE_ONE), _predict(package, 0)
    macs = count_macs(package, _uniform(package, SCORE_ONE))
    descriptors = decode(package)
    lines = [
        {
            "descriptor": index,
            "op": Op(d.op).name,
            "name": layer["name"],
            "cycles_open": int(opened.descriptor_cycles[1, index]),
            "cycles_closed": int(closed.descriptor_cycles[1, index]),
            "weight_bytes_open": int(opened.descriptor_bytes[1, index]),
            "weight_bytes_closed": int(closed.descriptor_bytes[1, index]),
        }
        for index, (d, layer) in enumerate(zip(descriptors, meta["layers"], strict=True))
    ]
    ends = [block["address"] + block["bytes"] for block in meta["memory"]]
    return {
        "network": meta["network"],
        "config": config.name,
        "schedule": meta["schedule"],
        "images": meta["images"],
        "descriptors": package.n_descriptors,
        "weight_blob_bytes": len(package.weights),
        "feature_bytes": {"used": max(ends, default=0), "available": config.fmem_bytes},
        "gate_memory_bytes": {
            "used": max((d.dst + d.length for d in descriptors if _loads_gates(d)), default=0),
            "available": config.gate_mem_bytes,
        },
        "concats": _concats(package, opened.descriptor_cycles[1]),
        "gate_scores": sum(gate["count"] for gate in meta["gates"]),
        "macs": {"dense": macs.dense, "gates": macs.gates},
        "predicted_cycles": {"open": int(opened.cycles[1]), "closed": int(closed.cycles[1])},
        "predicted_weight_bytes": {
            "open": int(opened.weight_bytes[1]),
            "closed": int(closed.weight_bytes[1]),
        },
        "layers": lines,
    }


def _loads_gates(d: Descriptor) -> bool:
    """A GLOAD into gate memory."""
    return d.op == Op.GLOAD and not d.loads_table
