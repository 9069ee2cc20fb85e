"""A trace reads the counters and scores out of output records; no pynq needed."""

import numpy as np
import pytest

from penstock.host import Trace
from penstock.host.profile import margins
from penstock.program.core.counters import COUNTER_NAMES

EXIT = {"descriptor": 5, "signed": True, "scale": 0.5, "scores": 1}
META = {"images": 1,
        "exits": [EXIT | {"halt": 31_000}, EXIT | {"halt": 47_000}],
        "gates": [{"name": "block", "offset": 64, "count": 1},
                  {"name": "channels", "offset": 65, "count": 3}]}  # fmt: skip


@pytest.fixture
def trace() -> Trace:
    records = np.zeros((3, 80), np.uint8)
    counters = np.arange(48, dtype="<u4").reshape(3, 16) * 1000
    records[:, :64] = counters.view(np.uint8)
    records[:, 64:68] = [[128, 0, 5, 0], [0, 1, 0, 0], [128, 0, 128, 0]]
    return Trace(records, META)


def test_counters(trace: Trace) -> None:
    assert len(trace) == 3
    for index, name in enumerate(COUNTER_NAMES):
        assert trace.counters[name].tolist() == [1000 * (16 * i + index) for i in range(3)]
    assert trace.cycles.tolist() == [0, 16000, 32000]
    assert trace.bytes_read.tolist() == trace.counters["read_bytes"].tolist()
    assert trace.weight_bytes.tolist() == trace.counters["weight_bytes"].tolist()
    assert trace.channels_skipped.tolist() == trace.counters["channels_skipped"].tolist()


def test_exits(trace: Trace) -> None:
    """By the HALT that each record names; one that is no early exit's is the network's own."""
    assert trace.counters["exit"].tolist() == [15_000, 31_000, 47_000]
    assert trace.exits.tolist() == [2, 0, 1]
    assert Trace(trace.records, META | {"exits": []}).exits.tolist() == [0, 0, 0]


def test_scores(trace: Trace) -> None:
    assert list(trace.scores) == ["block", "channels"]
    assert trace.scores["channels"].tolist() == [[0, 5, 0], [1, 0, 0], [0, 128, 0]]
    assert trace.open_gates().astype(int).tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0]]


def test_skip_rate(trace: Trace) -> None:
    classes, rates = trace.skip_rate(np.array([7, 7, 2]))
    assert classes.tolist() == [2, 7]
    assert rates.tolist() == [[0, 1, 0, 1], [0.5, 0.5, 0.5, 1]]
    with pytest.raises(ValueError, match="labels have shape"):
        trace.skip_rate(np.array([1]))


def test_network_without_gates(trace: Trace) -> None:
    assert Trace(trace.records, {"gates": []}).open_gates().shape == (3, 0)


def test_summary_names_the_means(trace: Trace) -> None:
    assert "cycles                 16,000.0 an image" in trace.summary()


def test_margins() -> None:
    assert margins(np.array([[1, 5, 2], [0, 0, 0]], np.float32)).tolist() == [3, 0]
