"""The policy of S2DNAS' search (Yuan et al. 2019, section 3.3): a recurrent network that writes a
split plan decision by decision, trained by proximal policy optimisation.

PPO with the clipped surrogate: Schulman, Wolski, Dhariwal, Radford, Klimov: *Proximal Policy
Optimization Algorithms*, 2017, equation 7.  An episode is one plan, its reward comes at the end;
the baseline is the mean of recent rewards, so there is no value network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from penstock.model.plans.split import SplitPlan

HIDDEN = 64
LEARNING_RATE = 0.01
CLIP = 0.2
EPOCHS = 4  # gradient steps on each batch of plans
ENTROPY = 0.01  # weight of its bonus: keeps the policy from settling at once
WINDOW = 32  # rewards in the baseline and in the advantages' scale
OPEN_BIAS = 1.0  # of the logit for reuse: the first plans reuse three times of four


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSpace:
    """The plans there are: split points and reuse bits of each resolution, in that order."""

    resolutions: int
    stages: int
    groups: int

    @property
    def points(self) -> int:
        """Decisions about split points at a resolution."""
        return self.stages - 1

    @property
    def bits(self) -> int:
        """Decisions about reuse at a resolution."""
        return self.stages * (self.stages - 1) // 2

    @property
    def decisions(self) -> int:
        """Decisions of a plan."""
        return self.resolutions * (self.points + self.bits)

    def allowed(self, at: int, before: Tensor) -> Tensor:
        """Bool [N, groups]: the split points that decision `at` may take behind `before`, [N].

        As many groups stay free as points are to come; index p is a stage that ends after p.
        """
        nth = at % (self.points + self.bits)
        points = torch.arange(self.groups)
        lowest = before if nth else torch.zeros_like(before)
        return (points > lowest[:, None]) & (points <= self.groups - (self.points - nth))

    def plan(self, actions: list[int]) -> SplitPlan:
        """The plan of one episode's actions."""
        size = self.points + self.bits
        rows = [actions[start : start + size] for start in range(0, len(actions), size)]
        return SplitPlan(
            groups=self.groups,
            points=tuple(tuple(row[: self.points]) for row in rows),
            reuse=tuple(tuple(bool(bit) for bit in row[self.points :]) for row in rows),
        )


class Policy(nn.Module):
    """An LSTM that reads the decision before and puts out the distribution of the next."""

    def __init__(self, space: PlanSpace) -> None:
        super().__init__()
        self.space = space
        self.tokens = nn.Embedding(space.groups + 3, HIDDEN)  # points, two bits, the start
        self.cell = nn.LSTMCell(HIDDEN, HIDDEN)
        self.point = nn.Linear(HIDDEN, space.groups)
        self.bit = nn.Linear(HIDDEN, 2)
        for head in (self.point, self.bit):
            nn.init.normal_(head.weight, std=0.01)  # all plans about as likely at first
            nn.init.zeros_(head.bias)
        with torch.no_grad():
            self.bit.bias[1] = OPEN_BIAS

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Actions of `count` plans, int64 [count, decisions]."""

        def draw(at: int, logits: Tensor) -> Tensor:
            return torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]

        with torch.no_grad():
            return self._walk(count, draw)[0]

    def likelihood(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Of plans, int64 [N, decisions]: log probability [N] and mean entropy of a decision."""
        _, logs, entropies = self._walk(len(actions), lambda at, logits: actions[:, at])
        return logs.sum(dim=1), entropies.mean()

    def _walk(
        self, count: int, choose: Callable[[int, Tensor], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(actions, log probabilities, entropies), [N, decisions] each."""
        space = self.space
        hidden = memory = torch.zeros(count, HIDDEN)
        token = torch.full((count,), space.groups + 2)
        taken = torch.zeros(count, dtype=torch.int64)
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for at in range(space.decisions):
            hidden, memory = self.cell(self.tokens(token), (hidden, memory))
            is_point = at % (space.points + space.bits) < space.points
            if is_point:
                logits = self.point(hidden)
                logits = logits.masked_fill(~space.allowed(at, taken), float("-inf"))
            else:
                logits = self.bit(hidden)
            taken = choose(at, logits)
            spread = torch.distributions.Categorical(logits=logits)
            found.append((taken, spread.log_prob(taken), spread.entropy()))
            token = taken if is_point else space.groups + taken
        actions, logs, entropies = zip(*found, strict=True)
        return torch.stack(actions, 1), torch.stack(logs, 1), torch.stack(entropies, 1)


class Ppo:
    """Adam steps on a policy after each batch of plans."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.optimizer = torch.optim.Adam(policy.parameters(), lr=LEARNING_RATE)

    def update(self, actions: Tensor, rewards: Tensor, recent: Tensor) -> None:
        """Learn from a batch: actions, int64 [N, decisions], and rewards, float [N].

        `recent`, float [M], the last rewards, includes it; their mean and spread make advantages.
        """
        spread = recent.std(unbiased=False).clamp_min(1e-6)
        advantages = (rewards - recent.mean()) / spread
        with torch.no_grad():
            before, _ = self.policy.likelihood(actions)
        for _ in range(EPOCHS):
            now, entropy = self.policy.likelihood(actions)
            ratio = (now - before).exp()
            clipped = ratio.clamp(1 - CLIP, 1 + CLIP)
            surrogate = torch.minimum(ratio * advantages, clipped * advantages).mean()
            self.optimizer.zero_grad()
            (-surrogate - ENTROPY * entropy).backward()
            self.optimizer.step()
