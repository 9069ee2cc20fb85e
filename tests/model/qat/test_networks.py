"""From the trace of a float network comes the Program that its hand-written twin gives."""

import pytest
import torch
from torch import Tensor, nn

from penstock.model.kinds import build_onnx, quantize_any, shaped_network
from penstock.model.qat import export_qat, prepare_qat
from penstock.model.random_network import random_float_network, random_images
from tests.model.pinned import pin

NETWORKS = (
    *("lcnet-resnet8", "lnet-resnet14", "resnet20", "skipnet1-resnet8", "skipnet2-resnet8"),
    *("blockdrop-resnet8", "acs-resnet8", "iadi-resnet8", "vgg16", "mobilenetv2"),
    *("densenet17", "acs-densenet17"),
)


class Logits(nn.Module):
    """A network without what it returns for its training."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        logits = self.net(x)[0]
        early = self.net.early
        return (*early, logits) if early else logits


def check(name: str, exits: tuple[int, ...] = ()) -> None:
    settings = {"exits": exits} if exits else {}
    config = shaped_network(name, 3, (32, 32), settings)
    net = random_float_network(config, keep_blocks=0.6, images=8, seed=5)
    images = random_images(config, 8, torch.Generator().manual_seed(5))
    twin = quantize_any(net)
    twin.calibrate([images])
    traced = prepare_qat(Logits(net), images[:1])
    traced.calibrate([images])
    expected, found = twin.eval()(images)[0], traced.eval()(images)
    assert torch.equal(expected, found[-1] if exits else found)
    metadata = {"schedule": config.schedule}
    if exits:
        names = [f"exit{index}" for index in range(len(exits))]
        metadata["exits"] = ",".join([*names, "logits"])
        metadata["thresholds"] = ",".join("0.7" for _ in exits)
    assert pin(export_qat(traced, metadata)) == pin(build_onnx(twin, metadata))


@pytest.mark.parametrize("name", NETWORKS)
def test_program_is_that_of_the_twin(name: str) -> None:
    check(name)


def test_early_exits_too() -> None:
    check("resnet8", exits=(0, 1))
