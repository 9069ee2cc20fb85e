"""No dataclass that holds arrays compares its fields: == of arrays is an array."""

import dataclasses
import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("compiler", "program", "sim/golden", "sim/csim", "sim/rtl", "host", "cli")
#: Types that hold arrays although their names do not say so.
ARRAYS = {"ndarray", "Array", "IntArray", "Bytes", "Images", "OpNode"}


def _classes() -> list[type]:
    """Every dataclass of the project, where its module can be imported here."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            if path.stem == "__main__":
                continue
            try:
                module = importlib.import_module(f"penstock.{name.removesuffix('.__init__')}")
            except ModuleNotFoundError:  # pynq, on the board alone
                continue
            for kind in vars(module).values():
                mine = inspect.isclass(kind) and kind.__module__ == module.__name__
                if mine and dataclasses.is_dataclass(kind):
                    found.append(kind)
    return found


def _words(kind: type) -> set[str]:
    """The names in the types of its fields."""
    texts = (str(field.type) for field in dataclasses.fields(kind))
    return {word for text in texts for word in re.findall(r"\w+", text)}


CLASSES = _classes()


def _holding_arrays() -> list[type]:
    holders = set(ARRAYS)
    while True:
        more = {kind.__name__ for kind in CLASSES if _words(kind) & holders} - holders
        if not more:
            return [kind for kind in CLASSES if kind.__name__ in holders]
        holders |= more


@pytest.mark.parametrize("kind", _holding_arrays(), ids=lambda kind: kind.__name__)
def test_arrays_are_not_compared(kind: type) -> None:
    assert "__eq__" not in vars(kind)


def test_the_graph_is_among_them() -> None:
    assert {"Conv", "Graph", "ConvStep", "OpNode", "Linear"} <= {k.__name__ for k in CLASSES}
