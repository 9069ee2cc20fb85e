"""The wheel, made of the source distribution: its files, its metadata, and that it asks for enough.

`make test-install` installs it, and every extra, into empty environments.
"""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from penstock.cli.main import cli
from tests.install import closure

#: Everything but what an extra brings and the board's pynq.
BARE = ("boards", "cli", "compiler", "hls", "program", "sim.csim", "sim.golden", "sim.rtl")
EXTRAS = {"model", "figures", "formal", "hls", "hls-proof", "cocotb", "dev"}


def build(kind: str, source: Path, into: Path) -> Path:
    """The file that setuptools builds of `source`: kind is `sdist` or `wheel`."""
    into.mkdir()
    code = f"from setuptools import build_meta as b; print(b.build_{kind}({str(into)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = into.iterdir()
    return path


@pytest.fixture(scope="module")
def tracked(repository: Path) -> list[str]:
    """Names of git's files; a copy of the working tree would bring build products along."""
    done = subprocess.run(["git", "ls-files"], cwd=repository, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.splitlines() if (repository / name).is_file()]


@pytest.fixture(scope="module")
def wheel(repository: Path, tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked:
        if not name.startswith(("tests/", "docs/")):
            (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(repository / name, folder / "tree" / name)
    sdist = build("sdist", folder / "tree", folder / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (source,) = (folder / "unpacked").iterdir()
    with zipfile.ZipFile(build("wheel", source, folder / "wheel")) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def packages(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the bare wheel's requirements bring, and nothing else."""
    _, requirements, _ = closure.requirements_of(wheel)
    folder = tmp_path_factory.mktemp("packages") / "site"
    closure.link_packages(folder, closure.distributions(requirements))
    return folder


def test_wheel_holds_every_file_of_the_packages(
    repository: Path, tracked: list[str], wheel: Path
) -> None:
    folders = {path.parent.name for path in repository.glob("*/__init__.py")} | {"rtl"}
    wanted = {
        f"penstock/{name.removeprefix('penstock/')}"  # that folder is the package itself
        for name in tracked
        if name.partition("/")[0] in folders - {"tests"} and not name.endswith(".mk")
    }
    files = {str(path.relative_to(wheel)) for path in wheel.rglob("*") if path.is_file()}
    held = {name for name in files if not name.partition("/")[0].endswith(".dist-info")}
    assert held == wanted


def test_metadata_says_what_is_tested(repository: Path, wheel: Path) -> None:
    python, requirements, extras = closure.requirements_of(wheel)
    versions = (repository / ".ci" / "pythons.py").read_text()
    assert python == ">=3.10,<3.14" or python == "<3.14,>=3.10"
    assert 'VERSIONS = ("3.10", "3.13")' in versions
    assert extras == EXTRAS
    bare = " ".join(text for text in requirements if "extra ==" not in text)
    assert not any(name in bare for name in ("torch", "scikit", "matplotlib", "cocotb", "hls4ml"))


def test_bare_wheel_answers_help_and_imports(wheel: Path, packages: Path, tmp_path: Path) -> None:
    """Every command explains itself, and every module that the bare wheel is for imports."""
    code = f"""
import importlib, importlib.util, pkgutil, sys
import penstock
assert not [name for name in sys.modules if name.startswith("penstock.")]
assert penstock.__version__ and penstock.load and penstock.Network and penstock.compile
assert importlib.util.find_spec("torch") is None and importlib.util.find_spec("pytest") is None
from penstock.cli.main import main
for verb in {sorted(cli.commands)!r}:
    assert main([verb, "--help"]) == 0, verb
for name in {BARE!r}:
    package = importlib.import_module("penstock." + name)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
"""
    done = closure.run(code, wheel, packages, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_bare_wheel_compiles_estimates_simulates(
    wheel: Path, packages: Path, tmp_path: Path
) -> None:
    """A trained network of the zoo through the commands; training names its extra."""
    code = """
import numpy as np, penstock.model
"""
    done = closure.run(code, wheel, packages, cwd=tmp_path)
    assert "pip install" in done.stderr
    code = f"""
import numpy as np
from pathlib import Path
from penstock.cli.main import main
rng = np.random.default_rng(5)
np.save("images.npy", rng.normal(size=(2, 3, 32, 32)).astype(np.float32))
zoo = {str(wheel / "penstock" / "model" / "zoo" / "lcnet-resnet20-cifar10.onnx")!r}
for words in (
    ["compile", zoo, "--config", "z7020", "-o", "net"],
    ["estimate", "net", "--board", "pynq-z2"],
    ["disasm", "net"],
    ["simulate", "net", "--engine", "graph,golden", "--images", "images.npy"],
    ["deploy", "net", "--board", "pynq-z2", "-o", "deploy"],
):
    assert main(words) == 0, words
import penstock
images = np.load("images.npy")
net = penstock.compile(zoo, target="pynq-z2")
assert np.array_equal(net(images), penstock.load("net")(images, engine="graph"))
assert len(net.gates) > 0 and net.estimate(keep=0.5).cycles < net.estimate().cycles
assert main(["train", "-o", "x.pt"]) == 2
"""
    done = closure.run(code, wheel, packages, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error: the Python package 'torch' is not installed; pip install" in done.stderr
    board = tmp_path / "board"
    closure.link_packages(board, {"numpy"})
    code = "import penstock.host, penstock.host.selftest as s, sys; sys.argv[1:] = []; s.main()"
    done = closure.run(code, tmp_path / "deploy", board, cwd=tmp_path / "deploy")
    assert "error: the Python package 'pynq' is not installed; run this on the board" in done.stderr
