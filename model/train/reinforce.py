"""BlockDrop's training of a policy by REINFORCE (Wu et al., CVPR 2018, section 3.2).

For every image the policy's probabilities are sampled: which blocks run.  The reward is
1 - (share of the blocks that run)^2 where the network then answers correctly, a penalty where it
does not; its advantage over the reward of the likeliest decisions (self-critical: Rennie et al.,
CVPR 2017) weighs the gradient of the sample's log probability.  The backbone learns from the same
samples.  Curriculum: the last block is decided first, one more every epoch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from penstock.model.gates.score import Decision
from penstock.model.networks.registry import AnyNet
from penstock.model.plans.network import block_plans
from penstock.model.quantize.twin import QuantNetwork
from penstock.model.train.config import TrainConfig

RUNS = -1.0  # a draw below every probability: the block runs
LIKELIEST = 0.5  # the draw that the likelier decision wins


class Reinforce:
    """What one phase of training does to a network with a policy."""

    def __init__(
        self, net: AnyNet | QuantNetwork, config: TrainConfig, free_epochs: int, decided: int
    ) -> None:
        """`decided`: blocks that the policy decides in the first epoch that is not free."""
        (policy,) = (module for module in net.modules() if isinstance(module, Decision))
        self.net, self.policy, self.blocks = net, policy, len(block_plans(net.config))
        self.penalty, self.free_epochs, self.decided = config.wrong_reward, free_epochs, decided

    def forced(self, epoch: int) -> int:
        """Blocks, the first ones, that run whatever the policy says."""
        if epoch < self.free_epochs:
            return self.blocks
        return max(self.blocks - self.decided - (epoch - self.free_epochs), 0)

    def explore(self, images: int, epoch: int, generator: torch.Generator) -> None:
        """Draws for the samples of the next forward pass."""
        draws = torch.rand(images, self.blocks, generator=generator)
        self._draw(draws, epoch)

    def loss(self, images: Tensor, labels: Tensor, logits: Tensor, epoch: int) -> Tensor:
        """- advantage * log probability, mean over the images.

        `logits`: of the samples, float [N, classes].
        """
        log_prob, runs = self.policy.log_prob, self.policy.runs
        assert log_prob is not None and runs is not None
        rewards = self._rewards(logits, labels, runs)
        self._draw(torch.full_like(runs, LIKELIEST).cpu(), epoch)
        self.net.eval()
        with torch.no_grad():
            likeliest, _ = self.net(images)
        self.net.train()
        assert self.policy.runs is not None
        advantage = rewards - self._rewards(likeliest, labels, self.policy.runs)
        self.policy.draws = None
        return -(advantage * log_prob).mean()

    def _draw(self, draws: Tensor, epoch: int) -> None:
        draws[:, : self.forced(epoch)] = RUNS
        self.policy.draws = draws

    def _rewards(self, logits: Tensor, labels: Tensor, runs: Tensor) -> Tensor:
        """Float [N], of decisions float [N, blocks]."""
        saved = 1 - runs.mean(dim=1).square()
        correct = logits.detach().argmax(dim=1) == labels
        return torch.where(correct, saved, -self.penalty)
