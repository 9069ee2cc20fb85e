"""Installs the wheel, bare and with every extra, into empty environments and uses it there.

    python .ci/try_install.py [EXTRA ...]        "" is the bare wheel

The source distribution is built from the tracked files, the wheel from it.  In every environment
each command answers --help; the bare one compiles a network of the zoo, estimates it and runs it on
golden, csim and rtl; the one with `model` runs docs/tutorial.md.  Minutes, and a package index.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np
from environment import ROOT

sys.path.insert(0, str(ROOT))
from tests.tutorial import run_tutorial

EXTRAS = ("", "figures", "formal", "hls", "hls-proof", "cocotb", "model")
VERBS = """
from penstock.cli.main import cli, main
for verb in cli.commands:
    assert main([verb, "--help"]) == 0, verb
print(len(cli.commands), "commands answer --help")
"""
#: What each extra is for, in a word of Python.
USES = {
    "figures": "import matplotlib.pyplot",
    "formal": "from penstock.formal.run import tool_folder; tool_folder()",
    "hls": "from penstock.hls.sources import ap_types as a; assert (a() / 'ap_fixed.h').is_file()",
    "hls-proof": "import penstock.hls.proof.check, llvmlite.binding, ziglang",
    "cocotb": "import penstock.sim.cocotb.runner, penstock.sim.cocotb.bench",
    "model": "import penstock.model, sklearn, onnxscript",
}


def run(*command: object, cwd: Path = ROOT) -> str:
    """A command's output; its failure ends this program."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        sys.exit(f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(work: Path) -> Path:
    """The wheel, of the source distribution, of the tracked files as they are."""
    tree = work / "tree"
    run("git", "checkout-index", "--all", f"--prefix={tree}/")
    code = "from setuptools import build_meta as b; b.build_{}('{}')"
    run(sys.executable, "-c", code.format("sdist", work / "dist"), cwd=tree)
    (sdist,) = (work / "dist").glob("*.tar.gz")
    run("tar", "xf", sdist, "-C", work)
    source = work / sdist.name.removesuffix(".tar.gz")
    run(sys.executable, "-c", code.format("wheel", work / "dist"), cwd=source)
    (wheel,) = (work / "dist").glob("*.whl")
    return wheel


def use_bare(python: Path, folder: Path) -> None:
    """Compile, estimate, simulate: a trained network that the wheel carries."""
    images = np.random.default_rng().normal(size=(2, 3, 32, 32)).astype(np.float32)
    np.save(folder / "images.npy", images)
    site = run(python, "-c", "import penstock.cli as c; print(c.__path__[0])").strip()
    network = Path(site).parent / "model" / "zoo" / "lcnet-resnet20-cifar10.onnx"
    penstock = python.with_name("penstock")
    run(penstock, "compile", network, "--config", "z7020", "-o", "net", cwd=folder)
    run(penstock, "estimate", "net", "--board", "pynq-z2", cwd=folder)
    images_of = ("--images", "images.npy")
    run(penstock, "simulate", "net", "--engine", "golden,csim,rtl", *images_of, cwd=folder)
    print("   compile, estimate, simulate golden == csim == rtl")


def try_extra(extra: str, wheel: Path, folder: Path) -> None:
    """One environment: install, --help of every command, what the extra is for."""
    print(f"== {f'penstock[{extra}]' if extra else 'penstock'}", flush=True)
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    if extra == "model":  # as `make setup` does: the CPU build first, wherever it is
        run(python, "-c", "import environment; environment.install_torch()", cwd=ROOT / ".ci")
    run(*pip, f"{wheel}[{extra}]" if extra else wheel)
    run(python, "-m", "pip", "check")
    print("  ", run(python, "-c", VERBS, cwd=folder).strip().splitlines()[-1], flush=True)
    if extra:
        run(python, "-c", USES[extra], cwd=folder)
    if not extra:
        use_bare(python, folder)
    if extra == "model":
        (folder / "tutorial").mkdir()
        run_tutorial(ROOT / "docs" / "tutorial.md", folder / "tutorial", python)
        print("   the tutorial")


def main() -> None:
    """Build, then try the named extras, or all."""
    with tempfile.TemporaryDirectory() as name:
        wheel = build(Path(name))
        for extra in sys.argv[1:] or EXTRAS:
            with tempfile.TemporaryDirectory() as folder:
                try_extra(extra, wheel, Path(folder))


if __name__ == "__main__":
    main()
