"""State dicts of others: ResNets under the names that torchvision and the CIFAR repositories share.

    [module.]conv1, bn1                         conv, bn
    layerS.I.convK, layerS.I.bnK                blocks.B.convs.K-1, blocks.B.bns.K-1
    layerS.I.downsample.0, .1 (or shortcut.)    blocks.B.shortcut, blocks.B.shortcut_bn
    fc, linear                                  fc

S and K count from 1, I from 0 in each stage, B from 0 over all of them.  A file without projections
is of a network whose shortcuts add zero channels, half of them before its own ("centred"; in a
recipe, `shortcuts: identity` has all of them behind).  Such networks are trained on RGB pixels of
0 to 1 with ImageNet's mean and standard deviation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from penstock.model.errors import CheckpointError
from penstock.model.files.checked import as_checkpoint_error, entry, numbers, read_torch, state_dict
from penstock.model.networks.network import Network, build
from penstock.model.networks.own import OwnConfig
from penstock.model.networks.resnet import ResNet
from penstock.model.networks.resnet_config import ResNetConfig, Shortcuts

#: Of the three colours, pixels from 0 to 1.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Where training programs put the state dict in their file.
HOLDERS = ("state_dict", "model_state_dict", "model", "net")
HINT = "a checkpoint of penstock train, or a ResNet's state dict (docs/networks.md, 'Training')"
PROJECTION = r"(?:downsample|shortcut)"
NAMES = (
    (r"conv1", "conv"),
    (r"bn1", "bn"),
    (r"layer(\d+)\.(\d+)\.conv(\d+)", "blocks.{block}.convs.{conv}"),
    (r"layer(\d+)\.(\d+)\.bn(\d+)", "blocks.{block}.bns.{conv}"),
    (rf"layer(\d+)\.(\d+)\.{PROJECTION}\.0", "blocks.{block}.shortcut"),
    (rf"layer(\d+)\.(\d+)\.{PROJECTION}\.1", "blocks.{block}.shortcut_bn"),
    (r"fc|linear", "fc"),
)
COUNTER = "num_batches_tracked"  # of a batch norm, which older files do not have


def is_foreign(path: Path) -> bool:
    """Whether a file of torch.save was not written by Penstock.  Raises CheckpointError."""
    return "penstock_checkpoint" not in read_torch(path, HINT)


def pixels_of(path: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation that a file's network was trained with.

    Raises CheckpointError.
    """
    content = read_torch(path, HINT)
    if "penstock_checkpoint" not in content:
        return MEAN, STD
    with as_checkpoint_error(path, "the normalization in it", HINT):
        known = entry(content, "normalization", dict)
        count = len(entry(known, "mean", list))
        mean = numbers(known, "mean", count)
        return tuple(mean), tuple(numbers(known, "std", count, above=0))


def foreign_shortcuts(path: Path) -> Shortcuts:
    """What the shortcuts of a foreign file's network are."""
    names = foreign_state(path)
    projected = any(re.search(rf"\.{PROJECTION}\.", name) for name in names)
    return "projection" if projected else "centred"


def foreign_state(path: Path) -> dict[str, Tensor]:
    """The state dict in a file, checked, `module.` in front of its names left out.

    Raises:
        CheckpointError: there is none, or it holds no finite numbers.
    """
    content: dict[str, Any] = read_torch(path, HINT)
    holder = next((key for key in HOLDERS if isinstance(content.get(key), Mapping)), None)
    given = content if holder is None else dict(content[holder])
    with as_checkpoint_error(path, "the state dict in it", HINT):
        state = state_dict({"state_dict": given}, "state_dict")
    if not state:
        raise CheckpointError(f"{path}: an empty state dict", HINT)
    return {name.removeprefix("module."): value for name, value in state.items()}


def inherit_foreign(net: Network, path: Path, gates: set[str]) -> None:
    """Start a network's backbone from a foreign file; `gates` are names that stay fresh.

    A ResNet's by `NAMES`, its classifier fresh where the file's has other classes; that of a module
    of the caller's by the module's own names.

    Raises:
        CheckpointError: another network: the first tensor that does not match.
    """
    config = net.config
    state, own = foreign_state(path), net.state_dict()
    if isinstance(config, ResNetConfig):
        found = {renamed_foreign(name, config.stage_blocks): value for name, value in state.items()}
    elif isinstance(config, OwnConfig):
        found = {f"net.{name}": value for name, value in state.items()}
    else:
        raise CheckpointError(f"{path}: a state dict of others for {config.name}", HINT)
    if "fc.weight" in found and len(found["fc.weight"]) != config.classes:
        gates = gates | {"fc.weight", "fc.bias"}
        found = {name: value for name, value in found.items() if name not in gates}
    wanted = {name for name in own if name not in gates and not name.endswith(COUNTER)}
    for name in sorted(wanted | found.keys()):
        if name not in own:
            raise CheckpointError(f"{path}: {config.name} has no '{name}'", HINT)
        if name in wanted and name not in found:
            raise CheckpointError(f"{path}: no tensor in it is {config.name}'s '{name}'", HINT)
        if own[name].shape != found[name].shape:
            shapes = tuple(found[name].shape), tuple(own[name].shape)
            raise CheckpointError(
                f"{path}: '{name}' has shape {shapes[0]}, {config.name}'s {shapes[1]}",
                "widths, depth and stem are those of the file's network",
            )
    net.load_state_dict(found, strict=False)


def foreign_network(path: Path, input_size: tuple[int, int]) -> Network:
    """The ResNet of a foreign file for such images, its shape read from the tensors.

    Raises:
        CheckpointError: not a ResNet's state dict, or none that is known here.
    """
    with as_checkpoint_error(path, "the ResNet in it", HINT):
        net: Network = build(ResNet, _foreign_config(path, input_size), seed=0)
    inherit_foreign(net, path, set())
    return net


def _foreign_config(path: Path, input_size: tuple[int, int]) -> ResNetConfig:
    """Depth, widths and the rest by names and shapes of a file's tensors."""
    shapes = {name: tuple(value.shape) for name, value in foreign_state(path).items()}
    found = [re.fullmatch(r"layer(\d+)\.(\d+)\.conv(\d+)\.weight", name) for name in shapes]
    places = [tuple(map(int, match.groups())) for match in found if match is not None]
    head = shapes.get("fc.weight", shapes.get("linear.weight", ()))
    stem = shapes.get("conv1.weight", ())
    if not places or len(head) != 2 or len(stem) != 4:
        raise CheckpointError("its tensors have other names than a ResNet's")
    convs = max(conv for _, _, conv in places)
    stages = range(1, 1 + max(stage for stage, _, _ in places))
    blocks = tuple(len({block for own, block, _ in places if own == stage}) for stage in stages)
    return ResNetConfig(
        depth=convs * sum(blocks) + 2,
        gates="none",
        block="basic" if convs == 2 else "bottleneck",
        blocks=blocks,
        widths=tuple(shapes[f"layer{stage}.0.conv1.weight"][0] for stage in stages),
        stem="cifar" if stem[2] == 3 else "imagenet",
        shortcuts=foreign_shortcuts(path),
        in_channels=stem[1],
        input_size=input_size,
        classes=head[0],
    )


def renamed_foreign(name: str, stages: tuple[int, ...]) -> str:
    """A tensor's name here, by the blocks of each stage; as it is if nothing is known of it."""
    layer, _, last = name.rpartition(".")
    for pattern, ours in NAMES:
        match = re.fullmatch(pattern, layer)
        if match is None:
            continue
        stage, index, conv = (int(number) for number in (*match.groups(), 0, 0, 0)[:3])
        return f"{ours.format(block=sum(stages[: stage - 1]) + index, conv=conv - 1)}.{last}"
    return name
