"""Sessions of onnxruntime: what calibration and the standing check take for the file's meaning."""

import numpy as np
import pytest

from penstock.compiler.onnx_session import open_session
from tests.compiler.front.qdq import Qdq, Y


@pytest.mark.parametrize("joined", [False, True])
def test_every_run_of_a_session_says_the_same(net: Qdq, joined: bool) -> None:
    """onnxruntime 1.18 plans its memory from the second run on, and got logits 7 steps off."""
    x = net.stem()
    y = net.conv(x, 4)
    if joined:
        y = net.node("Concat", net.node("Add", y, x), net.conv(x, 3), axis=1)
        net.channels[y] = 7
    net.classifier(net.qdq(net.node("Relu", y), Y, signed=False))
    model = net.model(net.nodes[-1].input[0])
    image = net.rng.normal(0, 2, (1, *net.shape[1:])).astype(np.float32)
    session = open_session(model)
    first, *others = [session.run(None, {"image": image})[0] for _ in range(4)]
    assert all(np.array_equal(first, other) for other in others)
