"""Small netlists by hand, as Yosys writes them."""

from typing import Any

Bits = list[Any]


def cell(
    kind: str, inputs: dict[str, Bits], outputs: dict[str, Bits], **parameters: int | str
) -> dict[str, Any]:
    """A cell; numbers become the strings of bits that Yosys writes."""
    texts = {k: v if isinstance(v, str) else f"{v:032b}" for k, v in parameters.items()}
    return {
        "type": kind,
        "parameters": texts,
        "attributes": {"src": "ps_x.sv:7.1-7.2"},
        "port_directions": dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output"),
        "connections": inputs | outputs,
    }


def register(d: Any, q: Any) -> dict[str, Any]:
    return cell("FDRE", {"D": [d], "C": [0], "CE": ["1"], "R": ["0"]}, {"Q": [q]})


def module(cells: dict[str, Any], names: dict[str, int] | None = None) -> dict[str, Any]:
    nets = {name: {"bits": [bit]} for name, bit in (names or {}).items()}
    return {"cells": cells, "ports": {}, "netnames": nets}
