"""Networks of one's own, trained, counted and exported like those of the zoo."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from penstock.compiler.api import compile_onnx
from penstock.model.checkpoint.export import export_checkpoint
from penstock.model.checkpoint.file import load_checkpoint
from penstock.model.data.load import load_dataset
from penstock.model.errors import ModelError
from penstock.model.macs.count import executed_macs, network_layers
from penstock.model.networks.own import OwnConfig, arguments_text, build_own, examined
from penstock.model.train.config import TrainConfig
from penstock.model.train.evaluation import evaluate
from penstock.model.train.flow import train_network
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim.golden import run


def trained(own: Path, name: str, **settings: Any) -> Path:
    config = TrainConfig(
        **{
            "network": f"usernets:{name}",
            "dataset": "folder",
            "data_dir": own / "pictures",
            "epochs": 2,
            "qat_epochs": 1,
            "batch_size": 16,
            "lr": 0.02,
            "out": own / "net.pt",
            "quiet": True,
            **settings,
        }
    )
    return train_network(config).checkpoint


@pytest.mark.parametrize("network", ["plain", "Exits", "Experts", "ungated"])
def test_trains_exports_and_counts_what_the_compiler_counts(own: Path, network: str) -> None:
    path = trained(own, network)
    loaded = load_checkpoint(path, f"usernets:{network}")
    export_checkpoint(path, own / "net.onnx", network=f"usernets:{network}")
    compiled = compile_onnx(own / "net.onnx", get_config("tiny"), thresholds=None)
    data = load_dataset("folder", own / "pictures")
    inputs = compiled.quantize_input(data.normalize(data.test_images).numpy())
    records = run(compiled.package, inputs)
    assert (records[:, COUNTER_BYTES:] == compiled.run_graph(inputs)[:, COUNTER_BYTES:]).all()
    decoded = compiled.decode_output(records)
    found = evaluate(loaded.quantized, data)
    config = loaded.quantized.config
    assert len(found.scores) == (0 if network == "ungated" else len(decoded.scores) - SOFT[network])
    macs = compiled.macs(decoded.scores)
    heads = 8 * 3 if config.early_exits else 0  # which the model's count leaves out
    assert macs.dense == found.dense_macs + heads
    if not found.scores or heads:
        return
    count = executed_macs(config, found.scores)
    same = torch.tensor(macs.executed_per_image) == count.backbone
    assert same.double().mean() > 0.9  # a score one step from 0 rounds either way
    assert (macs.gates, len(same)) == (count.gates, len(data.test_labels))


#: Scores of the Program that no gate of the model's decides: squeeze-and-excite's.
SOFT = {"plain": 0, "Exits": 0, "Experts": 1, "ungated": 0}


def test_the_other_order_of_factors_is_the_same(own: Path) -> None:
    found = []
    images = torch.randn(16, 3, 9, 7, generator=torch.Generator().manual_seed(2))
    for swapped in (False, True):
        arguments = arguments_text({"swapped": swapped, "width": 6})
        assert arguments is not None
        config = examined(
            OwnConfig(
                factory="usernets:plain",
                network_args=arguments,
                in_channels=3,
                input_size=(9, 7),
                classes=3,
            )
        )
        logits, scores = build_own(config, seed=3).eval()(images)
        count = executed_macs(config, scores)
        found.append((network_layers(config), logits.sum(), count.gates, count.backbone.tolist()))
    assert found[0] == found[1]
    assert len(set(found[0][3])) > 1


def test_gates_are_pressed(own: Path) -> None:
    """The weight of the share of MACs closes gates."""
    left = [
        load_checkpoint(trained(own, "plain", l1=l1, epochs=8), "usernets:plain").metrics
        for l1 in (0.0, 5.0)
    ]
    assert left[1]["mac_ratio"] < 0.8 * left[0]["mac_ratio"]


def test_a_file_starts_no_code(own: Path) -> None:
    path = trained(own, "plain")
    for network in (None, "usernets:ungated"):
        with pytest.raises(ModelError, match="code that no file may start") as caught:
            load_checkpoint(path, network)
        assert "--network usernets:plain" in str(caught.value)


def test_goes_on_from_its_own_checkpoint(own: Path) -> None:
    path = trained(own, "plain")
    again = trained(own, "plain", init=path, out=own / "more.pt")
    assert load_checkpoint(again, "usernets:plain").metrics["epochs"] == 6


REFUSED = {
    "nothing:net": "no module 'nothing'",
    "usernets:nothing": "has no 'nothing'",
    "usernets:failing": "TypeError",
    "usernets:no_module": "made a int",
    "usernets:FOLDERS": "has no 'FOLDERS'",
    "usernets:ten": "gives 10 logits, the data has 3 classes",
    "usernets:Branching": "if x.mean() > 0",
    "usernets:NoIntegers": "has no integer form",
}


@pytest.mark.parametrize("network", REFUSED)
def test_what_cannot_be_trained(own: Path, network: str) -> None:
    with pytest.raises(ModelError) as caught:
        trained(own, "", network=network)
    assert REFUSED[network] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(own.glob("net.*"))  # nor a log: no epoch has been trained


def test_by_the_command(own: Path, penstock: Any) -> None:
    arguments = ("--epochs", 1, "--qat-epochs", 1, "--batch-size", 16, "--lr", 0.02)
    network = ("--network", "usernets:plain")
    result = penstock(
        *("train", *network, "--data", "pictures", *arguments, "-o", "n.pt", "--json", "-")
    )
    assert result.code == 0, result.err
    assert json.loads(result.out)["dataset"] == "folder"
    assert "--network usernets:plain" in penstock("export", "n.pt", "-o", "n.onnx").error
    assert penstock("export", "n.pt", *network, "-o", "n.onnx").code == 0
    result = penstock("evaluate", "n.pt", *network, "--json", "-")
    assert result.code == 0 and json.loads(result.out)["images"] == 12
    result = penstock("evaluate", "n.pt", *network, "--data", "usernets:data", "--json", "-")
    assert result.code == 0 and json.loads(result.out)["images"] == 12
    result = penstock("train", *network, "--data", "x", "--dataset", "digits", "-o", "n.pt")
    assert "--data says both" in result.error


def test_arguments_from_a_recipe(own: Path, penstock: Any) -> None:
    (own / "r.yaml").write_text("network_args: {width: 4}\nepochs: 1\nqat_epochs: 0\nlr: 0.01\n")
    network = ("--network", "usernets:plain", "--data", "usernets:data")
    assert penstock("train", "--recipe", "r.yaml", *network, "-o", "n.pt").code == 0
    loaded = load_checkpoint(own / "n.pt", "usernets:plain")
    assert loaded.net.net[0].out_channels == 4  # type: ignore[index, union-attr]
    (own / "r.yaml").write_text("network_args: [1]\n")
    assert "network_args" in penstock("train", "--recipe", "r.yaml", *network, "-o", "x.pt").error


def test_scores_of_the_float_and_the_quantised_network_are_of_the_same_gates(own: Path) -> None:
    path = trained(own, "Experts")
    loaded = load_checkpoint(path, "usernets:Experts")
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 3, 9, 7))).float()
    (_, ours), (_, theirs) = loaded.net(images), loaded.quantized(images)
    assert [s.block.shape for s in ours] == [s.block.shape for s in theirs]
    assert [s.channels.shape for s in ours] == [s.channels.shape for s in theirs]
    first, second = ours[0].block, ours[1].block
    assert torch.equal(first + second, torch.ones(40, 1))
    agree = [
        (a.block == b.block).double().mean() for a, b in zip(ours[:2], theirs[:2], strict=True)
    ]
    assert min(agree) > 0.8
