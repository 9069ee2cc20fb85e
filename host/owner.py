"""What networks and their batches need of the overlay whose core they run on."""

from typing import Any, Protocol

from penstock.host.board import Board
from penstock.host.errors import HostError
from penstock.host.ip import PenstockIP


class CoreOwner(Protocol):
    """`PenstockOverlay`, seen from below."""

    board: Board

    @property
    def core(self) -> PenstockIP: ...
    @property
    def device(self) -> Any: ...
    def ready(self) -> PenstockIP: ...
    def settle(self, timeout: float | None) -> None: ...
    def reset_after(self, error: HostError) -> None: ...
