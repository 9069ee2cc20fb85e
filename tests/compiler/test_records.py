"""Dataclasses that hold arrays say how they compare: `==` of an array is no truth value."""

import ast
from pathlib import Path

import pytest

#: Annotations whose `==` is an array.
ARRAYS = ("Array", "NDArray", "Tensor", "Bytes", "ndarray")


def classes(path: Path) -> list[tuple[ast.ClassDef, str]]:
    """(class, its dataclass decorator) of a file."""
    return [
        (node, text)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        for text in map(ast.unparse, node.decorator_list)
        if "dataclass" in text
    ]


def holds_arrays(node: ast.ClassDef) -> bool:
    """Whether a field that takes part in `==` is one, or holds some."""
    fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    return any(
        name in ast.unparse(field.annotation)
        and "compare=False" not in (ast.unparse(field.value) if field.value else "")
        for field in fields
        for name in ARRAYS
    )


@pytest.mark.parametrize("name", ["compiler", "program", "sim", "cli", "host", "model", "bench"])
def test_no_dataclass_compares_arrays(repository: Path, name: str) -> None:
    """Python 3.13 compares field by field: identical arrays no longer pass by identity."""
    found = [
        f"{path.relative_to(repository)}: {node.name}"
        for path in sorted((repository / name).rglob("*.py"))
        for node, decorator in classes(path)
        if "eq=False" not in decorator and holds_arrays(node)
    ]
    assert found == []
