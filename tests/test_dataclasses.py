"""No dataclass that holds arrays compares its fields: == of arrays is an array.

Python 3.13 compares field by field, so that not even identical arrays pass by identity.
"""

import ast
import re
from pathlib import Path

#: Types that are arrays, or hold some although nothing in their definition says so.
ARRAYS = {"ndarray", "NDArray", "Array", "Tensor", "Bytes", "Images", "OpNode"}
CODE = """
@dataclasses.dataclass(frozen=True)
class Kernel:
    weight: IntArray | None = None
@dataclass(eq=False)
class Layer:
    kernels: tuple["Kernel", ...]
@dataclass
class Deep(Layer):
    name: str
@dataclass
class Fine:
    name: str
    cache: Array = field(compare=False)
"""


def dataclasses_of(sources: dict[str, str]) -> list[tuple[str, ast.ClassDef]]:
    """(file, definition) of every dataclass."""
    return [
        (path, node)
        for path, text in sources.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
        if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]


def words(node: ast.ClassDef) -> set[str]:
    """The names in its bases and in the types of the fields that take part in ==."""
    fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    compared = [f for f in fields if not f.value or "compare=False" not in ast.unparse(f.value)]
    texts = [ast.unparse(part) for part in (*node.bases, *(f.annotation for f in compared))]
    return {word for text in texts for word in re.findall(r"\w+", text)}


def comparing(sources: dict[str, str]) -> list[str]:
    """The dataclasses that hold arrays, directly or not, and compare them."""
    classes = [(path, node, words(node)) for path, node in dataclasses_of(sources)]
    holders, before = set(ARRAYS), 0
    while len(holders) > before:
        before = len(holders)
        holders |= {
            node.name
            for _, node, used in classes
            if any(word in holders or word.endswith("Array") for word in used)
        }
    return [
        f"{path}: {node.name}"
        for path, node, _ in classes
        if node.name in holders and not compares_otherwise(node)
    ]


def compares_otherwise(node: ast.ClassDef) -> bool:
    """Whether it is compared by identity, or says itself how."""
    own = any(isinstance(item, ast.FunctionDef) and item.name == "__eq__" for item in node.body)
    return own or any("eq=False" in ast.unparse(decorator) for decorator in node.decorator_list)


def test_what_is_found() -> None:
    assert comparing({"a.py": CODE}) == ["a.py: Kernel", "a.py: Deep"]


def test_no_dataclass_compares_arrays(repository: Path) -> None:
    packages = [init.parent for init in repository.glob("*/__init__.py")]
    files = [path for package in packages for path in package.rglob("*.py")]
    names = [str(path.relative_to(repository)) for path in sorted(files)]
    sources = {name: (repository / name).read_text() for name in names if name[:6] != "tests/"}
    found = {node.name for _, node in dataclasses_of(sources)}
    assert {"Conv", "Graph", "ConvStep", "Linear", "Trace"} <= found
    assert comparing(sources) == []
