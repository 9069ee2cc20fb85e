"""Likely mistakes of a newcomer: one line that says what to do and exit code 2, or a result."""

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Runner, Workspace

FINE = "fine"  # this is no mistake after all


@pytest.fixture(scope="module")
def files(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a float network, its compiled form, and good and bad arrays."""
    import onnx
    from PIL import Image

    from penstock.cli.main import main
    from penstock.model import ResNetConfig, build_float_onnx
    from penstock.model.networks.registry import build_any

    folder = tmp_path_factory.mktemp("mistakes")
    config = ResNetConfig(widths=(4, 6, 10), in_channels=2, input_size=(8, 6), classes=5)
    onnx.save(build_float_onnx(build_any(config, 3).eval()), folder / "net.onnx")
    x = np.load(workspace.images)
    np.save(folder / "x.npy", x)
    for name, array in {
        "u8": (x * 9).astype(np.uint8),
        "nhwc": x.transpose(0, 2, 3, 1).copy(),
        "big": np.zeros((2, 2, 99, 99), np.float32),
        "nan": np.where(x > 1, np.nan, x).astype(np.float32),
        "empty": x[:0],
        "f64": x.astype(np.float64),
        "obj": np.array([{}, 1], object),
        "words": np.array(["a", "b"]),
        "y5": np.zeros(5, np.int64),
        "ybad": np.full((6, 2), 3),
        "y6f": np.zeros(6, np.float32),
        "y99": np.full(6, 99),
    }.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=True)
    np.savez(folder / "x.npz", x=x)
    (folder / "imgs").mkdir()
    Image.new("RGB", (8, 6)).save(folder / "imgs" / "a.png")
    (folder / "file.txt").write_text("precious")
    (folder / "checkpoint.pt").write_bytes(b"PK\x03\x04 no checkpoint")
    (folder / "thesis").mkdir()
    (folder / "thesis" / "thesis.tex").write_text("precious")
    assert (
        main(["compile", str(workspace.onnx), "--config", "tiny", "-o", str(folder / "net")]) == 0
    )
    return folder


MISTAKES = {
    "compile nope.onnx -o n": "no such file",
    "compile checkpoint.pt -o n": "checkpoint.pt",
    "compile net.onnx --calibration nhwc.npy -o n": "N x 2 x 8 x 6 is expected",
    "compile net.onnx --calibration big.npy -o n": "",
    "compile net.onnx --calibration imgs -o n": "imgs",
    "compile net.onnx --calibration imgs/a.png -o n": "not a NumPy .npy array",
    "compile net.onnx --calibration x.npz -o n": "archive",
    "compile net.onnx --calibration nan.npy -o n": "NaN",
    "compile net.onnx --calibration empty.npy -o n": "there is no image",
    "compile net.onnx --calibration obj.npy -o n": "not a NumPy .npy array",
    "compile net.onnx --calibration words.npy -o n": "",
    "compile net.onnx --calibration x.npy --config pynq-z2 -o n": "unknown hardware configuration",
    "compile net.onnx --calibration x.npy --config Z7020 -o n": "unknown hardware configuration",
    "compile net.onnx --calibration x.npy -o file.txt": "is not a folder",
    "compile net.onnx --calibration x.npy -o /proc/x": "cannot write /proc/x",
    "compile net.onnx --calibration x.npy -o /dev/null": "is not a folder",
    "compile net.onnx --calibration x.npy -o file.txt/n": "cannot write",
    "compile net.onnx --calibration x.npy -o thesis": "is not the output of this command",
    "compile net.onnx --calibration x.npy -o .": "is not the output of this command",
    f"compile net.onnx --calibration x.npy -o {'n' * 300}": "File name too long",
    "compile net.onnx --calibration x.npy": "--output",
    "compile imgs -o n": "imgs",
    "compile /dev/null -o n": "/dev/null",
    "compile net.onnx --thresholds nan --calibration x.npy -o n": "",
    "compil net.onnx": "compil",
    "simulate net.onnx --engine golden --images x.npy": "net.onnx",
    "simulate net --engine verilator --images x.npy": "unknown engine",
    "simulate net --engine golden": "--images",
    "simulate net --engine golden --images nhwc.npy": "the network takes",
    "simulate net --engine golden --images x.npy --labels y5.npy": "5 labels for 6 images",
    "simulate net --engine golden --images x.npy --labels ybad.npy": "expected N integers",
    "simulate net --engine golden --images x.npy --labels y6f.npy": "expected N integers",
    "simulate net --engine golden --images nan.npy": "NaN",
    "simulate net --engine golden --images x.npy --force-gates 2": "force-gates",
    "simulate net --engine golden --images x.npy --thresholds 0.9": "",
    "simulate net --engine golden --images x.npy --thresholds nan": "",
    "simulate net --images x.npy --limit 0": "0 is not in the range",
    "simulate net --images x.npy --limit -3": "-3",
    "simulate net --engine golden --images x.npy --limit 99999999999999999999": FINE,
    "simulate net --engine golden --images x.npy --stall nan": "nan",
    "simulate net --engine rtl --images x.npy --latency -1": "-1 is not in the range",
    "simulate net --engine golden --images x.npy --json thesis": "it is a folder",
    "simulate net --engine golden --images x.npy --save file.txt/x.npz": "cannot write",
    "simulate net --engine golden --images x.npy --save /dev/full": "No space left on device",
    "simulate net --engine golden --images x.npy --json x.npy": "is given as --images too",
    "simulate net --engine rtl --images x.npy --vcd none/f.vcd": "no such folder",
    "simulate thesis --engine golden --images x.npy": "thesis",
    "deploy net --board pynqz2 -o d": "unknown board 'pynqz2'; one of",
    "deploy net --board pynq-z2 -o net": "but of penstock compile",
    "deploy net --board pynq-z2 -o thesis": "is not the output of this command",
    "deploy net --board pynq-z2 --labels y5.npy -o d": "--labels without --images",
    "deploy net --board pynq-z2 --limit 2 -o thesis/thesis.tex": "is not a folder",
    "hls net --board foo -o h": "unknown board 'foo'",
    "hls net -o thesis": "is not the output of this command",
    "hls net --steps csim,place -o h": "unknown step",
    "estimate net --keep 2": "2.0 is not in the range",
    "estimate net --keep nan": "nan",
    "estimate net --clock nan": "nan",
    "estimate net --board nexys": "unknown board",
    "estimate net --masks 0": "0 is not in the range",
    "estimate net --seed -1": "",
    "train --dataset mnist -o c.pt --json -": "mnist",
    "train --network resnet9 -o c.pt --json -": "depth 9",
    "train --network mynet.py -o c.pt --json -": "mynet.py",
    "train --dataset cifar10 -o c.pt --json -": "data",
    "train --dataset cifar10 --data-dir imgs -o c.pt --json -": "data_batch_1.bin",
    "train --recipe nope -o c.pt --json -": "nope",
    "train --device cuda -o c.pt --json -": "cuda",
    "train --device toaster -o c.pt --json -": "toaster",
    "train --lr nan -o c.pt --json -": "lr",
    "train --l1 inf -o c.pt --json -": "l1",
    "train --epochs -1 -o c.pt --json -": "epochs",
    "train --seed 99999999999999999999999 --epochs 1 -o c.pt --json -": "--seed",
    "train --batch-size 0 -o c.pt --json -": "batch_size",
    "train --widths 0,0,0 --epochs 1 -o c.pt --json -": "width",
    "train --widths -4,6,8 --epochs 1 -o c.pt --json -": "",
    "train --init checkpoint.pt --epochs 1 -o c.pt --json -": "checkpoint.pt",
    "train --teacher x.npy --epochs 1 -o c.pt --json -": "x.npy",
    "train --epochs 1 -o c.jsonl --json -": "choose another -o",
    "export net.onnx -o z.onnx": "not a readable checkpoint",
    "export checkpoint.pt -o checkpoint.pt": "is given as CHECKPOINT too",
    "evaluate net": "no such file",
    "evaluate x.npy": "not a readable checkpoint",
    "disasm net.onnx": "net.onnx",
    "disasm x.npy": "x.npy",
    "search --network lcnet-resnet8 --dataset digits -o s.json": "",
    "search --candidates 0 --dataset digits --network resnet8 -o s.json": "candidates",
    "timing --board nexys": "unknown board",
    "timing --vivado x.npy": "x.npy",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes(
    penstock: Runner, files: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(files)
    before = sorted(os.listdir(files))
    result = penstock(*line.split())
    assert "Traceback" not in result.err
    if MISTAKES[line] == FINE:
        assert result.code == 0, result.err
        return
    assert MISTAKES[line] in result.error
    assert "mistake in Penstock" not in result.error
    assert sorted(os.listdir(files)) == before  # nothing half-written
    assert (files / "file.txt").read_text() == "precious"
    assert (files / "thesis" / "thesis.tex").read_text() == "precious"


@pytest.mark.parametrize("name", ["u8", "f64"])
def test_images_of_other_types_are_taken_or_refused(
    penstock: Runner, files: Path, tmp_path: Path, name: str
) -> None:
    images = files / f"{name}.npy"
    result = penstock("simulate", files / "net", "--engine", "golden", "--images", images)
    assert result.code in (0, 2)
    assert result.code == 0 or name in result.error


def test_a_disk_that_is_full(penstock: Runner, files: Path, tmp_path: Path) -> None:
    """A file system of 16 KiB: the old result stays, and nothing else is left."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system")
    try:
        error = penstock("deploy", files / "net", "--board", "pynq-z2", "-o", disk / "d").error
        assert "No space left on device" in error
        assert list(disk.iterdir()) == []
        for option in ("--save", "--json"):
            arguments: tuple[Any, ...] = ("--engine", "golden", "--images", files / "x.npy")
            (disk / "big").write_bytes(b"x" * (16 << 10))
            result = penstock("simulate", files / "net", *arguments, option, disk / "out")
            assert result.code == 2
            assert "No space left on device" in result.err
            assert [path.name for path in disk.iterdir()] == ["big"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
