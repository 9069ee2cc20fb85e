"""Our own row for one convolution: 3x3, 64 -> 64 channels, 16 x 16, as it stands in a network."""

from typing import Any

from penstock.bench.figures import ROOT
from penstock.compiler.api import compile_onnx
from penstock.model.networks.resnet_config import ResNetConfig
from penstock.program.core.config import CONFIGS
from penstock.sim.rtl.engine import RtlCore
from penstock.sim.rtl.profile import profile

FOLDER = ROOT / "build" / "peers"
MACS = 9 * 64 * 64 * 16 * 16
SHAPE = ResNetConfig(depth=8, gates="none", widths=(64, 64, 64), in_channels=3, input_size=(16, 16))
LAYER = "stage0.block0.conv1"
SEED = 0


def own_conv(config_name: str) -> dict[str, Any]:
    """What the convolution adds to the cycles of a network around it, its weights' fetch with it.

    Counted by the simulated core; the maps are on chip before and after, as always here.
    """
    import onnx
    import torch

    from penstock.model import build_onnx, random_images, random_network

    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "conv.onnx"
    onnx.save(build_onnx(random_network(SHAPE, keep_channels=1.0, seed=SEED)), str(path))
    config = CONFIGS[config_name]
    network = compile_onnx(path, config)
    images = random_images(SHAPE, 1, torch.Generator().manual_seed(SEED))
    core = RtlCore(config, assertions=False)
    rows = profile(core, network.package, network.quantize_input(images.numpy()))
    core.close()
    (layer,) = [row for row in rows if row["name"] == LAYER]
    multipliers = config.p_oc * config.p_px
    return {
        "network": "conv",
        "config": config_name,
        "keep": 1.0,
        "multipliers": multipliers,
        "cycles": layer["cycles"],
        "utilisation": MACS / (layer["cycles"] * multipliers),
    }
