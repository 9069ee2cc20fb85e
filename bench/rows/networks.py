"""The networks of the benchmark, as ONNX files: random weights, gates in every block."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from penstock.model.networks.densenet import DenseNetConfig
from penstock.model.networks.registry import AnyConfig, parse_any
from penstock.model.networks.resnet_config import ResNetConfig

#: Name -> geometry (CIFAR: 32 x 32 x 3).
NETWORKS: dict[str, ResNetConfig] = {
    "resnet20": ResNetConfig(depth=20, in_channels=3, input_size=(32, 32)),
    "resnet18": ResNetConfig(
        depth=18, widths=(64, 128, 256, 512), in_channels=3, input_size=(32, 32)
    ),
}

#: Networks without gates: one row each, the dense run.
BACKBONES: dict[str, AnyConfig] = {
    name: parse_any(name) for name in ("vgg16", "mobilenetv2", "mobilenetv2-shortcuts")
}
DENSENETS = {name: parse_any(name) for name in ("densenet41", "densenet53")}
STATIC: dict[str, AnyConfig | DenseNetConfig] = {**BACKBONES, **DENSENETS}

#: Side by side with the forced rows: the demo's network, trained, with its own masks.
TRAINED = "lcnet-resnet8, trained"

SEED = 0
STATIC_CALIBRATION_IMAGES = 32


def network_onnx(name: str, folder: Path) -> Path:
    """The ONNX file of a network in `folder`, made the first time (ResNet-18: half a minute)."""
    path = folder / f"{name}.onnx"
    if not path.is_file():
        import onnx

        from penstock.model import build_onnx, random_network

        folder.mkdir(parents=True, exist_ok=True)
        images = STATIC_CALIBRATION_IMAGES
        if name in STATIC:
            model = build_onnx(random_network(STATIC[name], seed=SEED, images=images))
        else:
            model = build_onnx(random_network(NETWORKS[name], keep_channels=0.5, seed=SEED))
        part = path.with_suffix(".part")
        onnx.save(model, str(part))
        part.replace(path)
    return path


def network_inputs(name: str, images: int) -> npt.NDArray[np.float32]:
    """float32 [images, C, H, W]: noise as the network was calibrated on, other images."""
    import torch

    from penstock.model import random_images

    generator = torch.Generator().manual_seed(SEED + 1)
    config = STATIC[name] if name in STATIC else NETWORKS[name]
    return random_images(config, images, generator).numpy().astype(np.float32)
