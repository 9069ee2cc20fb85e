"""The cycle of a graph with the largest ratio of delay to distance."""

import itertools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from penstock.program.base.optional import require

#: (from, to, delay, distance 0 or 1)
Edge = tuple[str, str, float, int]
Delays = npt.NDArray[np.float64]

_NEVER = -np.inf


def longest(edges: Iterable[Edge]) -> list[tuple[float, list[str]]]:
    """The largest delay / distance of a cycle of each strongly connected part, and the nodes on it;
    the slowest first.

    Raises:
        MissingPackageError: networkx is not installed.
        networkx.NetworkXUnfeasible: a cycle has no distance.
    """
    nx = require("networkx")
    graph = nx.MultiDiGraph()
    for a, b, delay, distance in edges:
        graph.add_edge(a, b, delay=delay, distance=distance)
    found = []
    for nodes in nx.strongly_connected_components(graph):
        inside = [
            (a, b, edge["delay"], edge["distance"])
            for a in nodes
            for _, b, edge in graph.out_edges(a, data=True)
            if b in nodes
        ]
        if inside:
            found.append(_Part(sorted(nodes), inside).longest())
    return sorted(found, key=lambda cycle: -cycle[0])


class _Part:
    """A strongly connected part: between values that are carried over, paths have distance 0."""

    def __init__(self, nodes: list[str], edges: list[Edge]) -> None:
        self.near = [(a, b, delay) for a, b, delay, distance in edges if not distance]
        self.far = [(a, b, delay) for a, b, delay, distance in edges if distance]
        self.carried = sorted({b for _, b, _ in self.far})
        nx = require("networkx")
        acyclic = nx.DiGraph((a, b) for a, b, _ in self.near)
        acyclic.add_nodes_from(nodes)
        self.order = list(nx.topological_sort(acyclic))

    def longest(self) -> tuple[float, list[str]]:
        """Karp's theorem on the carried values; the cycle is on the walk that attains it."""
        reach = self._reach()
        place = {name: i for i, name in enumerate(self.carried)}
        direct = np.full((len(place), len(place)), _NEVER)
        for a, b, delay in self.far:
            direct[:, place[b]] = np.maximum(direct[:, place[b]], reach[a] + delay)
        n = len(place)
        walks = np.full((n + 1, n), _NEVER)
        walks[0, 0] = 0.0
        came = np.zeros((n + 1, n), dtype=np.int64)
        for k in range(1, n + 1):
            ways = walks[k - 1][:, None] + direct
            came[k] = ways.argmax(axis=0)
            walks[k] = ways.max(axis=0)
        with np.errstate(invalid="ignore"):
            means = (walks[n] - walks[:n]) / (n - np.arange(n))[:, None]
        means[np.isnan(means)] = np.inf
        worst = means.min(axis=0)
        worst[walks[n] == _NEVER] = _NEVER
        end = int(worst.argmax())
        walk = [end]
        for k in range(n, 0, -1):
            walk.append(int(came[k][walk[-1]]))
        return float(worst[end]), self._path(walk[::-1])

    def _reach(self) -> dict[str, Delays]:
        """Node -> longest delay to it from each carried value within an iteration."""
        reach = {name: np.full(len(self.carried), _NEVER) for name in self.order}
        for i, name in enumerate(self.carried):
            reach[name][i] = 0.0
        into: dict[str, list[tuple[str, float]]] = {name: [] for name in self.order}
        for a, b, delay in self.near:
            into[b].append((a, delay))
        for name in self.order:
            for a, delay in into[name]:
                np.maximum(reach[name], reach[a] + delay, out=reach[name])
        return reach

    def _path(self, walk: list[int]) -> list[str]:
        """The nodes on the first cycle of a walk over carried values."""
        seen: dict[int, int] = {}
        for at, node in enumerate(walk):
            if node in seen:
                walk = walk[seen[node] : at + 1]
                break
            seen[node] = at
        names: list[str] = []
        for a, b in itertools.pairwise(walk):
            names += self._between(self.carried[a], self.carried[b])
        return names

    def _between(self, start: str, end: str) -> list[str]:
        """The slowest way from one carried value to the next iteration's other."""
        delay = {start: 0.0}
        before: dict[str, str] = {}
        into: dict[str, list[tuple[str, float]]] = {}
        for a, b, cost in self.near:
            into.setdefault(b, []).append((a, cost))
        for name in self.order:
            for a, cost in into.get(name, []):
                if a in delay and name != start and delay[a] + cost > delay.get(name, _NEVER):
                    delay[name], before[name] = delay[a] + cost, a
        ways = [(delay[a] + cost, a) for a, b, cost in self.far if b == end and a in delay]
        at, path = max(ways)[1], []
        while at != start:
            path.append(at)
            at = before[at]
        return [start, *reversed(path)]
