"""Bad input through the command line: exit code 2 and one line that says what to do."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.program.core.config import CONFIGS


@pytest.fixture
def images(workspace: Any, tmp_path: Path) -> Any:
    """Writes a changed copy of the images: images(dtype=..., shape=..., value=...) -> path."""

    def write(change: Any) -> Path:
        np.save(tmp_path / "changed.npy", change(np.load(workspace.images)))
        return tmp_path / "changed.npy"

    return write


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--network", "alexnet"), "alexnet"),
        (("--network", "lcnet-resnet9"), "depth 9"),
        (("--dataset", "mnist"), "mnist"),
        (("--dataset", "cifar10"), "data"),
        (("--epochs", "0"), "epochs"),
        (("--epochs", "many"), "many"),
        (("--widths", "16,x"), "widths '16,x' are not numbers with commas; such as 16,32,64"),
        (("--l1", "-1"), "l1"),
    ],
)
def test_train(penstock: Any, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in penstock("train", "-o", tmp_path / "c.pt", "--json", "-", *arguments).error


def test_train_with_a_missing_data_file(penstock: Any, tmp_path: Path) -> None:
    error = penstock(
        "train", "--dataset", "cifar10", "--data-dir", tmp_path, "-o", tmp_path / "c.pt", "--json"
    ).error
    assert str(tmp_path) in error
    assert "data_batch_1.bin" in error


def test_export_of_something_else(penstock: Any, tmp_path: Path) -> None:
    assert "no such file" in penstock("export", tmp_path / "c.pt", "-o", tmp_path / "n.onnx").error
    (tmp_path / "c.pt").write_text("text")
    error = penstock("export", tmp_path / "c.pt", "-o", tmp_path / "n.onnx").error
    assert "not a readable checkpoint" in error


def test_unknown_configuration(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    error = penstock("compile", workspace.onnx, "--config", "huge", "-o", tmp_path / "net").error
    known = ", ".join(CONFIGS)
    hint = f"one of {known}, or a YAML file of your own"
    assert error == f"error: unknown hardware configuration 'huge'; {hint}"


def test_compile_of_no_file(penstock: Any, tmp_path: Path) -> None:
    error = penstock("compile", tmp_path / "none.onnx", "-o", tmp_path / "net").error
    assert "none.onnx: no such file" in error


def test_compile_of_no_onnx(penstock: Any, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("this is no protobuf")
    assert "text.onnx" in penstock("compile", tmp_path / "text.onnx", "-o", tmp_path / "net").error
    assert not (tmp_path / "net").exists()


def refuse(penstock: Any, model: Any, tmp_path: Path, config: str = "tiny") -> str:
    """The message with which `penstock compile` refuses `model`; nothing may be written."""
    import onnx

    onnx.save(model, tmp_path / "bad.onnx")
    error = penstock("compile", tmp_path / "bad.onnx", "--config", config, "-o", tmp_path / "n")
    message = error.error
    assert not (tmp_path / "n").exists()
    return message


def load(workspace: Any) -> Any:
    import onnx

    return onnx.load(workspace.onnx)


def test_unsupported_operator(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    model = load(workspace)
    node = next(n for n in model.graph.node if n.name == "stage1.block0.conv1.relu")
    node.op_type = "Hardmax"
    message = refuse(penstock, model, tmp_path)
    assert "stage1.block0.conv1.relu" in message
    assert "Hardmax" in message


def test_dynamic_shape(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    model = load(workspace)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "H"
    message = refuse(penstock, model, tmp_path)
    assert "dynamic" in message
    assert "H" in message


def test_a_block_at_a_scale_of_its_own(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    """A skippable block's output need not have its input's scale; `compile` compares results."""
    import onnx

    model = load(workspace)
    other = onnx.numpy_helper.from_array(np.array(0.7, np.float32), "other.scale")
    model.graph.initializer.append(other)
    for node in model.graph.node:
        if node.name in ("stage0.block0.conv2.quantize", "stage0.block0.conv2.dequantize"):
            node.input[1] = "other.scale"
    path = tmp_path / "other.onnx"
    onnx.save(model, path)
    result = penstock("compile", path, "--config", "tiny", "-o", tmp_path / "out")
    assert result.code == 0, result


def test_accumulator_that_could_overflow(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    import onnx

    model = load(workspace)
    bias = next(t for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT32)
    values = onnx.numpy_helper.to_array(bias).copy()
    values[0] = 2**31 - 5
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    message = refuse(penstock, model, tmp_path)
    assert "overflow" in message
    assert bias.name.split(".")[0] in message


def test_network_that_does_not_fit(penstock: Any, tmp_path: Path) -> None:
    """The message says by how much, and which tensors take the room."""
    from penstock.model import ResNetConfig, build_onnx, random_network

    config = ResNetConfig(widths=(32, 32, 32), in_channels=3, input_size=(32, 32))
    message = refuse(penstock, build_onnx(random_network(config)), tmp_path)
    assert "bytes" in message
    assert "16384" in message.replace(",", "").replace("_", "")
    assert "stage" in message or "stem" in message


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x: x.astype(np.float64), "images are float64, expected float32"),
        (lambda x: (x * 9).astype(np.uint8), "images are uint8, expected float32"),
        (lambda x: x[0], "expected four dimensions N x C x H x W"),
        (
            lambda x: x.transpose(0, 1, 3, 2),
            "images are 2 x 6 x 8 (C x H x W), the network takes 2 x 8 x 6",
        ),
        (lambda x: x[:, :1], "images are 1 x 8 x 6 (C x H x W), the network takes 2 x 8 x 6"),
        (lambda x: x[:0], "there is no image"),
        (lambda x: np.where(x == x[3].max(), np.nan, x), "image 3 holds NaN"),
        (lambda x: np.where(x == x[1].min(), -np.inf, x), "image 1 holds infinity"),
    ],
)
def test_images(penstock: Any, workspace: Any, images: Any, change: Any, message: str) -> None:
    path = images(change)
    error = penstock(
        "simulate", workspace.compiled, "--engine", "golden", "--images", path, "--json", "-"
    ).error
    assert message in error
    assert str(path) in error


def test_labels(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", np.arange(3))
    arguments = ("--images", workspace.images, "--labels", tmp_path / "y.npy")
    assert "3 labels for 6 images" in penstock("simulate", workspace.compiled, *arguments).error


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--engine", "cosim"), "unknown engine 'cosim'; one of golden, csim, rtl, graph"),
        (("--engine", "rtl,rtl"), "named twice"),
        (("--engine", "golden", "--vcd", "f.vcd"), "--vcd needs the rtl engine"),
        (("--config", "z7020"), "compile the network again with --config z7020"),
        (("--limit", "0"), "0 is not in the range"),
        (("--stall", "1"), "1.0 is not in the range"),
        (("--force-gates", "0"), "force-gates"),
    ],
)
def test_simulate(penstock: Any, workspace: Any, arguments: tuple[str, ...], message: str) -> None:
    error = penstock("simulate", workspace.compiled, "--images", workspace.images, *arguments).error
    assert message in error


@pytest.fixture
def program(workspace: Any, tmp_path: Path) -> Path:
    """A private copy of the compiled folder."""
    return Path(shutil.copytree(workspace.compiled, tmp_path / "copy"))


def damage(folder: Path, change: Any) -> None:
    """Rewrite the program file of a compiled folder."""
    file = next(folder.glob("*.pspkg"))
    file.write_bytes(change(file.read_bytes()))


def flip(data: bytes) -> bytes:
    return data[:200] + bytes([data[200] ^ 4]) + data[201:]


def other_hardware(data: bytes) -> bytes:
    """The same program with another configuration hash and a checksum that fits."""
    import dataclasses

    from penstock.program.network.package import Package

    return dataclasses.replace(Package.decode(data), config_hash=0x12345678).encode()


@pytest.mark.parametrize(
    "change, message",
    [
        (flip, "checksum differs (corrupted)"),
        (lambda data: data[:-10], "truncated"),
        (lambda data: data[:7], "not a Penstock program"),
        (lambda data: b"", "not a Penstock program"),
        (other_hardware, "program is for hardware configuration 0x12345678, unknown here"),
    ],
)
@pytest.mark.parametrize("command", ("simulate", "disasm"))
def test_program_file(
    penstock: Any, workspace: Any, program: Path, command: str, change: Any, message: str
) -> None:
    damage(program, change)
    images = ("--images", workspace.images) if command == "simulate" else ()
    assert message in penstock(command, program, *images).error


@pytest.mark.parametrize("command", ("simulate", "disasm"))
def test_no_program(penstock: Any, workspace: Any, tmp_path: Path, command: str) -> None:
    images = ("--images", workspace.images) if command == "simulate" else ()
    error = penstock(command, tmp_path / "none", *images).error
    assert "none: no such file or folder" in error
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in penstock(command, tmp_path / "empty", *images).error


def test_result_that_cannot_be_written(penstock: Any, workspace: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    error = penstock(
        *("simulate", workspace.compiled, "--engine", "golden", "--images", workspace.images),
        *("--json", tmp_path / "file" / "out.json"),
    )
    assert error.code == 2
    assert "cannot write" in error.err
