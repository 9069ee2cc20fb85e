"""How `model/` is built: rooms on floors, files and functions of a screen, no import upwards."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

#: The rooms, the lowest first; each imports from those below it, and from itself.
FLOORS = (
    "errors",
    "files",
    "plans",
    "gates",
    "stages",
    "trace",
    "networks",
    "quantize",
    "macs",
    "export",
    "data",
    "checkpoint",
    "train",
    "search",
    "zoo",
    "__init__",
)
#: Folder -> why it may hold more than `FILES`.
LARGE_FOLDERS = {"recipes": "data: one YAML file a recipe, found by its name"}
FILES, LINES, FUNCTION = 16, 400, 60
PACKAGE = "penstock.model"


@pytest.fixture(scope="module")
def model(repository: Path) -> Path:
    return repository / "model"


def modules(model: Path) -> Iterator[tuple[str, Path]]:
    """(dotted name below `penstock.model`, file) of every module."""
    for path in sorted(model.rglob("*.py")):
        yield ".".join(path.relative_to(model).with_suffix("").parts), path


def imports(model: Path, path: Path) -> Iterator[tuple[str, int]]:
    """(module below `penstock.model` that is imported, line), inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        found = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            source = node.module or ""
            below = (f"{source}.{alias.name}" for alias in node.names)
            found = [name if is_module(model, name) else source for name in below]
        for name in found:
            if name == PACKAGE or name.startswith(f"{PACKAGE}."):
                yield name[len(PACKAGE) + 1 :] or "__init__", node.lineno


def is_module(model: Path, name: str) -> bool:
    below = model.joinpath(*name.removeprefix(f"{PACKAGE}.").split("."))
    return name.startswith(PACKAGE) and (below.with_suffix(".py").is_file() or below.is_dir())


def room(module: str) -> str:
    return module.split(".")[0]


def test_every_room_has_its_floor(model: Path) -> None:
    assert {room(name) for name, _ in modules(model)} == set(FLOORS)


def test_no_import_runs_back_up(model: Path) -> None:
    wrong = [
        f"{path}:{line} imports {other}"
        for name, path in modules(model)
        for other, line in imports(model, path)
        if FLOORS.index(room(other)) > FLOORS.index(room(name))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_circle_of_imports(model: Path) -> None:
    """Packages count as their `__init__`, which runs before any module in them."""
    graph: dict[str, set[str]] = {}
    for name, path in modules(model):
        reads = {other for other, _ in imports(model, path)}
        known = {
            read
            if model.joinpath(*read.split(".")).with_suffix(".py").is_file()
            else f"{read}.__init__".removeprefix("__init__.")
            for read in reads
        }
        graph[name] = known - {name}
    while graph:
        leaves = {name for name, reads in graph.items() if not reads & graph.keys()}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {name: reads for name, reads in graph.items() if name not in leaves}


def test_no_large_folder(model: Path) -> None:
    folders = [model, *(path for path in model.rglob("*") if path.is_dir())]
    for folder in folders:
        if folder.name == "__pycache__" or folder.name in LARGE_FOLDERS:
            continue
        files = [path for path in folder.iterdir() if path.is_file()]
        assert len(files) <= FILES, f"{folder}: {len(files)} files"


def test_no_large_file(model: Path) -> None:
    sizes = {path: len(path.read_text().splitlines()) for _, path in modules(model)}
    assert not {path: size for path, size in sizes.items() if size > LINES}


def test_no_large_function(model: Path) -> None:
    wrong = [
        f"{path}:{node.lineno} {node.name}: {size} lines"
        for _, path in modules(model)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and (size := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION
    ]
    assert not wrong, "\n".join(wrong)
