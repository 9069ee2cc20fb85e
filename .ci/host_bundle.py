"""Makes build/host: what `make test-host` puts on the simulated board.

build/host/net.onnx     a gated network trained on the digits, the demo's if there is one
build/host/deploy/      the folder `penstock deploy` writes for it
build/host/libcsim.so   the C++ of the HLS core, compiled
build/host/lib/         the simulator under the name it is installed as
"""

import os
import shutil
import sys
from pathlib import Path

from penstock.cli.main import main as penstock
from penstock.program.config import get_config
from penstock.sim.csim.build import build_csim

ROOT = Path(__file__).resolve().parent.parent
HOST, DEMO = ROOT / "build" / "host", ROOT / "build" / "demo"
FILES = ("net.onnx", "images.npy", "labels.npy")


def run(*arguments: object) -> None:
    """One `penstock` command; ends the script if it fails."""
    code = penstock([str(argument) for argument in arguments])
    if code:
        sys.exit(code)


def library(link: Path) -> None:
    """The C simulation of the HLS core, built here: the board side has no compiler's modules."""
    built = build_csim(get_config("z7020"))
    link.unlink(missing_ok=True)
    os.symlink(built, link)


def main() -> None:
    """Train if need be, compile, deploy."""
    HOST.mkdir(parents=True, exist_ok=True)
    if not all((HOST / name).is_file() for name in FILES):
        if not all((DEMO / name).is_file() for name in FILES):
            run("demo", "-o", DEMO)
        for name in FILES:
            shutil.copyfile(DEMO / name, HOST / name)
    run("compile", HOST / "net.onnx", "--config", "z7020", "-o", HOST / "net")
    run("deploy", HOST / "net", "--board", "pynq-z2", "-o", HOST / "deploy")
    library(HOST / "libcsim.so")
    link = HOST / "lib" / "penstock" / "sim"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(ROOT / "sim", target_is_directory=True)


if __name__ == "__main__":
    main()
