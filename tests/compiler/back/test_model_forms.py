"""Every form of block and gates that the model exports: compiled, run, and its MACs counted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from penstock.compiler import api
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim.golden import run

torch = pytest.importorskip("torch")

FORMS: dict[str, dict[str, Any]] = {
    "basic": {},
    "block gates": {"gates": "l"},
    "channel gates": {"gates": "c"},
    "plain bottleneck": {"depth": 20, "block": "bottleneck", "gates": "none"},
    "bottleneck": {"depth": 20, "block": "bottleneck"},
    "bottleneck, block gates": {"depth": 11, "block": "bottleneck", "gates": "l"},
    "bottleneck, channel gates": {"depth": 11, "block": "bottleneck", "gates": "c"},
    "two gated convolutions": {"depth": 20, "block": "bottleneck", "gated_convs": 2},
    "identity shortcuts": {"shortcuts": "identity"},
    "centred shortcuts": {"shortcuts": "centred"},
    "skipnet, FFGate-I": {"depth": 14, "gates": "skipnet1"},
    "skipnet, FFGate-II": {"depth": 14, "gates": "skipnet2"},
    "blockdrop": {"depth": 14, "gates": "blockdrop"},
    "acs": {"depth": 14, "gates": "acs"},
    "acs-dg": {"depth": 14, "gates": "acsdg", "widths": (16, 32, 16)},
    "acs-dg, squeeze-and-excite": {"depth": 14, "gates": "acsdg-se", "widths": (16, 32, 16)},
    "iadi": {"depth": 14, "gates": "iadi"},
    "experts": {"depth": 14, "gates": "moe"},
    "acs, bottleneck": {"depth": 20, "block": "bottleneck", "gates": "acs"},
    "imagenet": {
        "depth": 17,
        "block": "bottleneck",
        "blocks": (2, 1, 1, 1),
        "widths": (4, 6, 8, 10),
        "stem": "imagenet",
        "input_size": (45, 38),
    },
}


@pytest.mark.parametrize("schedule", ["sequential", "parallel"])
@pytest.mark.parametrize("form", FORMS)
def test_golden_equals_graph_and_macs_equal_the_models(
    form: str, schedule: str, tmp_path: Path
) -> None:
    """An option A shortcut is a convolution on the core: its MACs count there only."""
    from penstock.model import (
        ResNetConfig,
        build_onnx,
        network_gates,
        random_images,
        random_network,
    )
    from penstock.model.macs.count import dense_macs, executed_macs, gate_macs

    usual = {"widths": (4, 6, 10), "in_channels": 2, "input_size": (8, 6), "classes": 5}
    config = ResNetConfig(**{**usual, **FORMS[form], "schedule": schedule})
    path = tmp_path / "net.onnx"
    model = random_network(config, keep_blocks=0.7, seed=3)
    onnx.save(build_onnx(model), path)
    network = api.compile_onnx(path, get_config("tiny"), schedule)
    images = random_images(config, 7, torch.Generator().manual_seed(4)).numpy()
    inputs = network.quantize_input(images)
    records = run(network.package, inputs)
    expected = network.run_graph(inputs)
    assert (records[:, COUNTER_BYTES:] == expected[:, COUNTER_BYTES:]).all()
    scores = network.decode_output(records).scores
    macs = network.macs(scores)
    added = dense_macs(replace(config, shortcuts="projection")) - dense_macs(config)
    gates = gate_macs(config, network_gates(model))
    assert (macs.dense, macs.gates) == (dense_macs(config) + added, gates)
    if config.gated:
        count = executed_macs(config, block_scores(config, scores))
        assert macs.executed_per_image.tolist() == (count.backbone + added).tolist()
        # Whichever expert runs, it takes as many.
        assert len(set(macs.executed_per_image)) > 1 or config.gates == "moe"


#: Gates of a block as a whole.
GATES = ("lnet", "gate")


def block_gates(plan: Any) -> list[str]:
    """Names that the gate of a block, or of an expert in it, may have."""
    if plan.expert is None:
        return [f"{plan.name}.{gate}" for gate in GATES]
    router = plan.name.replace(f".expert{plan.expert}", ".router")
    return [f"{router}.rest" if plan.expert else router]


def block_scores(config: Any, scores: dict[str, Any]) -> list[Any]:
    """Scores of a program, uint8 by gate name, as the model has them."""
    from penstock.model.networks.labels import cnet_name
    from penstock.model.networks.scores import join_scores
    from penstock.model.plans.network import block_plans

    joined = []
    like = torch.from_numpy(next(iter(scores.values()))) / 128
    for number, plan in enumerate(block_plans(config)):
        block, *channels = (
            [
                torch.from_numpy(scores[f"{name}_output"]) / 128
                for name in names
                if f"{name}_output" in scores
            ]
            for names in (
                (*(f"{gate}.score.quantize" for gate in block_gates(plan)), f"policy.{number}"),
                *(
                    (f"{plan.name}.{cnet_name(index)}.score.quantize",)
                    for index in range(len(plan.gated))
                ),
                *((f"{plan.name}.gate{conv}.score.quantize",) for conv in range(1, 4)),
            )
        )
        found = [score for scored in channels for score in scored]
        joined.append(join_scores(plan, like, block[0] if block else None, found))
    return joined
