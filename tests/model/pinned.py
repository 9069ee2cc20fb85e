"""Programs of every recipe's and every zoo network, pinned by hashes: the net under model/.

No recipe is trained for this.  The state of its quantised network is filled by name: each tensor
comes from a generator seeded with the tensor's name.  So the same names and shapes are the same
checkpoint, in whatever order a network makes its layers; a network that renames its tensors
shows the same Program through the map that loads old checkpoints.

    python -m tests.model.pinned           what differs from programs.json
    python -m tests.model.pinned --write   writes it anew, after a wanted change of bytes
                                           (with parts of names: theirs alone)
"""

import argparse
import hashlib
import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from penstock.compiler.errors import CompileError
from penstock.compiler.importer import import_model
from penstock.compiler.importer.onnx_file.load import infer, load_model
from penstock.compiler.pipeline import compile_graph
from penstock.model.checkpoint.old_names import old_names, second_names
from penstock.model.export.networks import build_onnx, exit_name
from penstock.model.export.qdq import OUTPUT
from penstock.model.gates.grouping import GroupingConv
from penstock.model.networks.registry import OWN, AnyConfig, build_any, shaped_network
from penstock.model.plans.split import parse_split
from penstock.model.quantize.twin import QuantNetwork
from penstock.model.train.config import TrainConfig
from penstock.model.train.recipe import load_recipe, recipe_names
from penstock.model.zoo import zoo_names, zoo_onnx
from penstock.program.core.config import get_config

PINNED = Path(__file__).with_name("programs.json")
#: Channels and size of the images of each data set.
IMAGES = {"digits": (1, (8, 8)), "cifar10": (3, (32, 32))}
#: In this order: the first that a network fits.
CONFIGS = ("z7020", "zcu104")
THRESHOLD = "0.75"


def recipe_network(name: str) -> AnyConfig:
    """The network of a recipe."""
    config = TrainConfig(**load_recipe(name))
    channels, size = IMAGES[config.dataset]
    settings = {key: getattr(config, key) for key in OWN} | {"schedule": config.schedule}
    settings["split"] = parse_split(config.split) if config.split else None
    return shaped_network(config.network, channels, size, settings)


def filled(name: str, like: Tensor) -> Tensor:
    """The value of the tensor `name` of a quantised network's state, shaped as `like`."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("scale"):  # of activations, one number
        value = np.asarray(2.0**-5 * (1 + rng.random()))
    elif name.endswith("live"):  # links of a grouped or split convolution
        return like
    elif like.dim() > 1:  # weights, outputs first
        fan_in = max(1, int(np.prod(like.shape[1:])))
        value = rng.normal(0, np.sqrt(2 / fan_in), tuple(like.shape))
    else:
        value = rng.normal(0, 0.1, tuple(like.shape))
    return torch.as_tensor(value).to(like.dtype).reshape(like.shape)


def recipe_onnx(name: str) -> onnx.ModelProto:
    """The exported network of a recipe, in its filled state."""
    config = recipe_network(name)
    float_net = build_any(config, seed=0)
    second = second_names(float_net, float_net.state_dict())
    for label, module in float_net.named_modules():
        if isinstance(module, GroupingConv):  # its groups become the links of the quantised one
            module.relations.data = filled(second[f"{label}.relations"], module.relations)
    net = QuantNetwork(float_net)
    old = old_names(float_net, net)  # Programs were pinned under these names
    net.load_state_dict({key: filled(old[key], value) for key, value in net.state_dict().items()})
    exits = config.early_exits
    metadata = {}
    if exits:
        metadata["exits"] = ",".join([*map(exit_name, range(exits)), OUTPUT])
        metadata["thresholds"] = ",".join([THRESHOLD] * exits)
    return build_onnx(net.eval(), metadata)


def pin(model: onnx.ModelProto) -> dict[str, Any]:
    """Hash of the Program, the configuration it is for and its size, or why there is none."""
    graph = import_model(infer(model))
    for config in CONFIGS:
        try:
            package = compile_graph(graph, get_config(config))
        except CompileError as error:
            reason = str(error)
            continue
        return {
            "config": config,
            "descriptors": package.n_descriptors,
            "weight_bytes": len(package.weights),
            "sha256": hashlib.sha256(package.descriptors + package.weights).hexdigest(),
        }
    return {"refused": reason}


def cases() -> dict[str, Callable[[], onnx.ModelProto]]:
    """Every pinned network by name."""
    recipes = {f"recipe {name}": lambda name=name: recipe_onnx(name) for name in recipe_names()}
    zoo = {f"zoo {name}": lambda name=name: load_model(zoo_onnx(name)) for name in zoo_names()}
    return recipes | zoo


def main() -> int:
    """Compare or write; exit code 1 if a Program differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.model.pinned", description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("names", nargs="*", help="parts of names; all without")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pinned = json.loads(PINNED.read_text()) if PINNED.is_file() else {}
    found = {}
    for name, make in cases().items():
        if options.names and not any(part in name for part in options.names):
            continue
        found[name] = pin(make())
        print(name, "as pinned" if found[name] == pinned.get(name) else found[name], flush=True)
    if options.names:
        found = dict(sorted((pinned | found).items()))
    if options.write:
        PINNED.write_text(json.dumps(found, indent=2) + "\n")
    return int(found != pinned and not options.write)


if __name__ == "__main__":
    sys.exit(main())
