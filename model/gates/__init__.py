"""Gates: what decides which blocks and channels run, and layers of them for one's own network."""

from penstock.model.gates.pooled import BlockGate, ChannelGate
from penstock.model.gates.score import HardSigmoid, ReLU1, Score, SigmoidScore, Step

__all__ = [
    "BlockGate",
    "ChannelGate",
    "HardSigmoid",
    "ReLU1",
    "Score",
    "SigmoidScore",
    "Step",
]
