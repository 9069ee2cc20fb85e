"""How the house is built: rooms on floors, files and functions of a screen, no import upwards.

What is larger stands in a table here, with the reason.
"""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Of a package, the rooms from the lowest floor up; rooms of one floor do not know each other.
FLOORS: dict[str, tuple[tuple[str, ...], ...]] = {
    "": (
        ("program",),
        ("host", "hls", "compiler", "model"),
        ("sim",),
        ("boards", "formal"),
        ("penstock",),
        ("bench",),
        ("cli",),
    ),
    "program": (("base",), ("core",), ("network",), ("generate",), ("__init__",)),
    "compiler": (
        ("errors", "names", "numerics", "onnx_session", "inputs", "decoded", "ir"),
        ("passes", "estimate", "importer", "interpreter"),
        ("check", "disasm", "plan", "gate_warnings"),
        ("calibration", "emit", "force_gates"),
        ("choose_stacks",),
        ("pipeline",),
        ("compiled",),
        ("api",),
        ("__init__",),
    ),
    "model": tuple(
        (room,)
        for room in (
            *("errors", "files", "plans", "gates", "stages", "trace", "networks", "quantize"),
            *("macs", "export", "data", "checkpoint", "train", "search", "zoo", "__init__"),
        )
    ),
}
FILES, LINES, FUNCTION, PARAMETERS = 16, 400, 60, 8

#: Folder -> why it may hold more files than that.
LARGE_FOLDERS = {
    "model/recipes": "data: one YAML file a recipe, found by its name",
    "rtl": "one module a file, as synthesis tools and reviewers expect them: in one folder",
    "hls/src": "Vitis and the open compiler take one folder of sources",
    "host": "the driver as it lies on the board, with its notebook and its texts",
    "tests/compiler/front": "one file a kind of operator or quantiser",
    "tests/compiler/back": "one file a pass",
    "tests/host": "one file a part of the driver; the folder runs in three environments",
    "tests/model": "one file a family or a part of the training",
}
#: File -> why it may be longer.
BENCH = "the bench of a unit: one model of it, and what it is driven with"
LARGE_FILES = {
    "tests/compiler/back/graphs.py": "the builder of graphs that tests share",
    "tests/compiler/back/test_bit_exact.py": "one table of networks, every engine",
    "tests/compiler/front/test_calibrate_layers.py": "one table of layers",
    "tests/fuzz/networks.py": "the drawing of random networks: one draw calls another",
    "tests/hls/test_sources.py": "what holds for every source of the core",
    "tests/quality/workload.py": "the regression: one case behind the other, in one order",
    "tests/rtl/ps_conv_ctrl/cocotb_ps_conv_ctrl.py": BENCH,
    "tests/rtl/ps_gate_unit/cocotb_ps_gate_unit.py": BENCH,
    "tests/rtl/ps_sequencer/cocotb_ps_sequencer.py": BENCH,
}
OPTIONS = "a command: its parameters are its options"
#: (file, function) -> why it may be longer, or have more parameters.
LARGE_FUNCTIONS = {
    ("cli/commands/compile.py", "compile_command"): OPTIONS,
    ("cli/commands/demo.py", "demo"): OPTIONS,
    ("cli/commands/estimate.py", "estimate"): OPTIONS,
    ("cli/commands/hls.py", "hls"): OPTIONS,
    ("cli/commands/search.py", "search"): OPTIONS,
    ("cli/commands/simulate.py", "simulate"): OPTIONS,
    ("cli/commands/train.py", "train"): OPTIONS,
    ("penstock/building.py", "compile"): "the door: one call, its arguments documented in place",
    ("penstock/building.py", "build"): "behind `compile`: the same arguments",
    ("compiler/importer/lower/layers/convolution.py", "add_conv"): "what an ir.Conv is made of",
    ("compiler/importer/lower/layers/map_pool.py", "_pool"): "what an ir.MapPool is made of",
    ("model/gates/plan.py", "gate_plan"): "where each gate of a block stands, by name",
}


@pytest.fixture(scope="module")
def tracked(repository: Path) -> list[Path]:
    """Every file of the repository, relative to it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    names = [Path(name) for name in done.stdout.splitlines()]
    return [name for name in names if (repository / name).is_file()]


def package_of(path: Path) -> list[str]:
    """penstock.model.gates.plan of model/gates/plan.py: the parts behind `penstock`."""
    parts = list(path.with_suffix("").parts)
    return parts[1:] if parts[0] == "penstock" else parts


def imports(repository: Path, path: Path) -> Iterator[tuple[list[str], int]]:
    """(module of the project that is imported, line), inside functions too."""
    for node in ast.walk(ast.parse((repository / path).read_text())):
        found: list[str] = []
        match node:
            case ast.Import():
                found = [alias.name for alias in node.names]
            case ast.ImportFrom():
                assert not node.level, f"{path}:{node.lineno}: a relative import"
                found = [f"{node.module}.{alias.name}" for alias in node.names]
            case ast.Call(func=ast.Name(id="require" | "load"), args=[ast.Constant(value=name)]):
                found = [str(name)]
        for name in found:
            first, *rest = name.split(".")
            if first == "penstock":
                yield rest, node.lineno


def floor(package: str, room: str) -> int | None:
    """The floor of a room of a package; None if it has none."""
    floors = FLOORS[package]
    return next((level for level, rooms in enumerate(floors) if room in rooms), None)


def room_in(package: str, parts: list[str]) -> str | None:
    """The room of a package in which a module lies; None: in another package."""
    if package:
        if parts[:1] != [package]:
            return None
        return parts[1] if len(parts) > 1 else "__init__"
    tops = {room for rooms in FLOORS[""] for room in rooms}
    return parts[0] if parts and parts[0] in tops - {"penstock"} else "penstock"


@pytest.mark.parametrize("package", FLOORS, ids=lambda name: name or "all")
def test_no_import_runs_back_up(repository: Path, tracked: list[Path], package: str) -> None:
    wrong = []
    tops = {room for rooms in FLOORS[""] for room in rooms}
    for path in tracked:
        if path.suffix != ".py" or path.parts[0] not in tops:
            continue
        mine = room_in(package, package_of(path) if path.parts[0] != "penstock" else ["", "x"])
        if mine is None:
            continue
        level = floor(package, mine)
        assert level is not None, f"{path}: '{mine}' has no floor"
        for parts, line in imports(repository, path):
            other = room_in(package, parts)
            if other is None or other == mine or (package and len(parts) < 2):
                continue
            theirs = floor(package, other)
            if theirs is not None and theirs >= level:
                wrong.append(f"{path}:{line} imports {'.'.join(parts)}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", [name for name in FLOORS if name] + ["host", "sim"])
def test_no_circle_of_imports(repository: Path, tracked: list[Path], package: str) -> None:
    """Packages count as their `__init__`, which runs before any module in them."""
    names = {
        ".".join(package_of(path))
        for path in tracked
        if path.suffix == ".py" and path.parts[0] == package
    }
    graph: dict[str, set[str]] = {}
    for name in names:
        path = Path(*name.split(".")).with_suffix(".py")
        reads = set()
        for parts, _ in imports(repository, path):
            whole, above = ".".join(parts), ".".join(parts[:-1])
            reads |= {
                n for n in (whole, above, f"{whole}.__init__", f"{above}.__init__") if n in names
            }
        graph[name] = reads - {name, *_own_packages(name)}
    while graph:
        leaves = {name for name, reads in graph.items() if not reads & graph.keys()}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {name: reads for name, reads in graph.items() if name not in leaves}


def _own_packages(name: str) -> set[str]:
    """The `__init__` of the packages a module lies in: they ran, or are running, before it."""
    parts = name.split(".")
    return {".".join([*parts[:count], "__init__"]) for count in range(1, len(parts))}


def test_no_large_folder(tracked: list[Path]) -> None:
    sizes: dict[str, int] = {}
    for path in tracked:
        sizes[str(path.parent)] = sizes.get(str(path.parent), 0) + 1
    large = {name for name, size in sizes.items() if size > FILES and name != "."}
    assert large == LARGE_FOLDERS.keys()


def test_no_large_file(repository: Path, tracked: list[Path]) -> None:
    """Python, SystemVerilog and C++; tests too."""
    large = {
        str(path)
        for path in tracked
        if path.suffix in (".py", ".sv", ".cpp", ".h")
        and len((repository / path).read_text().splitlines()) > LINES
    }
    assert large == LARGE_FILES.keys()


def test_no_large_function(repository: Path, tracked: list[Path]) -> None:
    large = set()
    for path in tracked:
        if path.suffix != ".py" or path.parts[0] == "tests":
            continue
        for node in ast.walk(ast.parse((repository / path).read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or 0) - node.lineno + 1
                names = [arg.arg for arg in (*node.args.args, *node.args.kwonlyargs)]
                parameters = len([name for name in names if name not in ("self", "cls")])
                if lines > FUNCTION or parameters > PARAMETERS:
                    large.add((str(path), node.name))
    assert large == LARGE_FUNCTIONS.keys()
