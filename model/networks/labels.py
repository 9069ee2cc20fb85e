"""Names that the layers of this package's networks have in exports and counts."""

from __future__ import annotations

import re

from torch import nn


def layer_labels(net: nn.Module) -> dict[str, str]:
    """The names of parts of a network, by their paths in it."""
    labels = {"conv": "stem.conv", "stem": "stem.conv", "fc": "classifier.fc"}
    for path, module in net.named_modules():
        plan = getattr(module, "plan", None)
        if plan is None or not path:
            continue
        labels[path] = plan.name
        if getattr(module, "excite", None) is not None:
            labels[f"{path}.excite"] = plan.name
        if getattr(plan, "transition", False):
            labels |= {
                f"{path}.{part}": f"{plan.name}.transition.{part}" for part in ("norm", "conv")
            }
        for index in range(len(getattr(module, "cnets", ()))):
            labels[f"{path}.cnets.{index}"] = f"{plan.name}.{cnet_name(index)}"
        for index in range(len(getattr(module, "convs", ()))):
            labels[f"{path}.convs.{index}"] = plan.convs[index].name
    for index in range(len(getattr(net, "heads", ()))):
        labels[f"heads.{index}"] = f"exit{index}.fc"
    return labels


def cnet_name(index: int) -> str:
    """The name of the channel gate of a block's convolution `index`, from 0."""
    return f"cnet{index + 1 if index else ''}"


def labelled(labels: dict[str, str], path: str) -> str:
    """The name of a layer; that of a stage's share has the stage in front."""
    stage = re.match(r"s\d+\.", path)
    if stage:
        return stage[0] + labelled(labels, path[stage.end() :])
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        known = labels.get(".".join(parts[:count]))
        if known is not None:
            return ".".join([known, *parts[count:]])
    return path
