"""The demo's network, trained once with the default configuration, against its bars."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from penstock.model import Dataset, Evaluation, TrainResult, evaluate, load_checkpoint
from penstock.model.macs.count import kept

LOGIT_TOLERANCE = 2  # steps of the logits' scale: onnxruntime may round a tie the other way


@pytest.fixture(scope="module")
def quantized(trained: TrainResult, digits: Dataset) -> Evaluation:
    """The quantised network of the checkpoint, evaluated anew."""
    return evaluate(load_checkpoint(trained.checkpoint).quantized, digits)


def test_accuracy(trained: TrainResult, quantized: Evaluation) -> None:
    assert quantized.accuracy == trained.metrics["qat_accuracy"]
    assert quantized.accuracy >= 0.975
    assert quantized.accuracy >= trained.metrics["float_accuracy"] - 0.01


def test_executed_macs(trained: TrainResult, quantized: Evaluation) -> None:
    assert quantized.dense_macs == 763_520
    assert quantized.executed_macs - quantized.executed_macs_without_gates == 2_880
    assert quantized.mac_ratio == pytest.approx(trained.metrics["mac_ratio"])
    assert quantized.mac_ratio <= 0.5


def test_gates_depend_on_the_input(quantized: Evaluation) -> None:
    shares = []
    for score in quantized.scores:
        runs = kept(score.channels) & kept(score.block)  # [N, C]
        always, ever = runs.all(dim=0), runs.any(dim=0)
        shares.append(float((ever & ~always).float().mean()))
        # not only the block gate: images that run the block differ in their channels
        patterns = torch.unique(kept(score.channels[kept(score.block)[:, 0]]), dim=0)
        shares[-1] *= len(patterns) > 1
    assert max(shares) >= 0.25


def test_scores_are_on_the_hardware_grid(quantized: Evaluation) -> None:
    for score in quantized.scores:
        for values in score:
            steps = values * 128
            assert torch.equal(steps, steps.round())
            assert 0 <= float(steps.min()) <= float(steps.max()) <= 128


def test_onnxruntime_agrees(trained: TrainResult, digits: Dataset, digits_onnx: Path) -> None:
    net = load_checkpoint(trained.checkpoint).quantized
    x = digits.normalize(digits.test_images)
    with torch.no_grad():
        logits = net(x)[0].numpy()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(digits_onnx), options)
    result = session.run(None, {"input": x.numpy()})[0]
    steps = np.abs(result - logits) / float(net.scale("fc"))
    print(f"largest difference: {steps.max():.2f} steps of the logits")
    assert steps.max() <= LOGIT_TOLERANCE + 1e-3
    assert np.array_equal(result.argmax(axis=1), logits.argmax(axis=1))


def test_exported_metadata(digits_onnx: Path, digits: Dataset) -> None:
    properties = {p.key: p.value for p in onnx.load(digits_onnx).metadata_props}
    assert properties == {
        "penstock.network": "lcnet-resnet8",
        "penstock.dataset": "digits",
        "penstock.schedule": "sequential",
        "penstock.seed": "0",
        "penstock.full_scale": "16",
        "penstock.mean": f"{digits.mean[0]:g}",
        "penstock.std": f"{digits.std[0]:g}",
    }
