"""What the cost model says of a Program: latency, frames a second, and where the time goes."""

from typing import Any

import numpy as np

from penstock.compiler.estimate.activity import Activity, activity
from penstock.compiler.estimate.cost import Timing, predict_memory
from penstock.compiler.estimate.masks import Scores
from penstock.program.core.descriptor import Op
from penstock.program.network.meta import LayerMeta
from penstock.program.network.package import Package


def _macs(act: Activity, layer: LayerMeta) -> float:
    """Mean MACs of one descriptor, convention of `macs`: gates and the compiler's copies apart."""
    if act.op == Op.DENSE:
        return float(act.descriptor.cin * act.descriptor.cout)
    if act.op != Op.CONV or layer["kind"] != "conv":
        return 0.0
    return float((act.inputs * act.outputs).mean()) * float(layer["macs_per_pair"])


def estimate(package: Package, memory: Scores, clock_mhz: float) -> dict[str, Any]:
    """Means an image of a running stream for gate scores uint8 (N, scores), JSON-ready.

    `layers` has one entry a descriptor; what runs once (GLOAD) has no cycles in it.  Utilisation:
    MACs / (cycles x multipliers).  Bytes: weights fetched, the image read, the record written.
    Of `images` a run each has its share; the latency is that of the run, which ends with all.
    """
    config, meta = package.config, package.meta
    images = meta["images"]
    pes = config.p_oc * config.p_px
    shown = np.concatenate([memory[:1], memory])  # the first image also pays what runs once
    predicted = predict_memory(package, shown, Timing())
    acts = activity(package, memory)
    cycles = predicted.descriptor_cycles[1:].mean(axis=0) / images
    fetched = predicted.descriptor_bytes[1:].mean(axis=0) / images
    layers, executed = [], 0.0
    for index, (act, layer) in enumerate(zip(acts, meta["layers"], strict=True)):
        macs = _macs(act, layer)
        executed += macs
        layers.append(
            {
                "descriptor": index,
                "op": act.op.name,
                "name": layer["name"],
                "cycles": float(cycles[index]),
                "macs": macs / images,
                "weight_bytes": float(fetched[index]),
                "utilisation": macs / (images * cycles[index] * pes) if cycles[index] else 0.0,
            }
        )
    total = float(predicted.cycles[1:].mean()) / images
    executed /= images
    return {
        "network": meta["network"],
        "config": config.name,
        "schedule": meta["schedule"],
        "clock_mhz": clock_mhz,
        "kept": float(np.mean(memory > 0)) if memory.size else 1.0,
        "cycles": total,
        "images": images,
        "latency_ms": total * images / clock_mhz / 1e3,
        "fps": clock_mhz * 1e6 / total,
        "macs": executed,
        "utilisation": executed / (total * pes),
        "weight_bytes": float(predicted.weight_bytes[1:].mean()) / images,
        "input_bytes": meta["input"]["bytes"],
        "record_bytes": meta["record_bytes"],
        "layers": layers,
    }
