"""The networks of the benchmark, as ONNX files: random weights, gates in every block."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from penstock.model.geometry import NetworkConfig

#: Name -> geometry (CIFAR: 32 x 32 x 3).
NETWORKS: dict[str, NetworkConfig] = {
    "resnet20": NetworkConfig(depth=20, in_channels=3, input_size=(32, 32)),
    "resnet18": NetworkConfig(
        depth=18, widths=(64, 128, 256, 512), in_channels=3, input_size=(32, 32)
    ),
}

#: Side by side with the forced rows: the demo's network, trained, with its own masks.
TRAINED = "lcnet-resnet8, trained"

SEED = 0


def network_onnx(name: str, folder: Path) -> Path:
    """The ONNX file of a network in `folder`, made the first time (ResNet-18: half a minute)."""
    path = folder / f"{name}.onnx"
    if not path.is_file():
        import onnx

        from penstock.model import build_onnx, random_network

        folder.mkdir(parents=True, exist_ok=True)
        net = random_network(NETWORKS[name], keep_channels=0.5, seed=SEED)
        part = path.with_suffix(".part")
        onnx.save(build_onnx(net), str(part))
        part.replace(path)
    return path


def network_inputs(name: str, images: int) -> npt.NDArray[np.float32]:
    """float32 [images, C, H, W]: noise as the network was calibrated on, other images."""
    import torch

    from penstock.model import random_images

    generator = torch.Generator().manual_seed(SEED + 1)
    return random_images(NETWORKS[name], images, generator).numpy().astype(np.float32)
