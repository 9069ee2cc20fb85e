"""Networks whose ONNX file takes integers: codes go to the core as they are, and nothing else."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from penstock.compiler.compiled import load
from tests.compiler.front.qdq import Qdq, X


@pytest.fixture(params=["uint8", "int8"])
def integers(request: Any, tmp_path: Path, penstock: Any) -> Any:
    """(folder, codes, onnxruntime's logits) of a compiled network for images of that type."""
    kind = np.dtype(request.param)
    net = Qdq(np.random.default_rng(1))
    net.image_type = TensorProto.UINT8 if kind == np.uint8 else TensorProto.INT8
    x = net.node("Relu", net.conv(net.dequantize("image", X, kind), 4))
    model = net.model(net.classifier(net.qdq(x, 0.3, signed=False)))
    onnx.save(model, tmp_path / "net.onnx")
    codes = net.rng.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, (5, 3, 6, 5)).astype(kind)
    np.save(tmp_path / "codes.npy", codes)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    logits = np.concatenate([session.run(None, {"image": code[None]})[0] for code in codes])
    made = penstock("compile", tmp_path / "net.onnx", "--config", "tiny", "-o", tmp_path / "net")
    assert made.code == 0
    return tmp_path, codes, logits


def simulated(penstock: Any, folder: Path, images: str) -> tuple[Any, Any]:
    """(the result, logits) of the golden engine and the graph."""
    result = penstock(
        "simulate", folder / "net", "--engine", "golden,graph", "--images", folder / images,
        "--save", folder / "out.npz", "--json", "-",
    )  # fmt: skip
    assert result.code == 0, result.err
    return result, np.load(folder / "out.npz")["logits"]


def test_codes_are_taken_as_they_are(integers: Any, penstock: Any) -> None:
    folder, _, expected = integers
    result, logits = simulated(penstock, folder, "codes.npy")
    assert np.abs(logits - expected).max() <= 1.01 * 0.03
    assert len(np.unique(expected)) > 5
    assert json.loads(result.out)["warnings"] == [] and "warning" not in result.err


def test_real_values_are_codes_times_the_scale(integers: Any, penstock: Any) -> None:
    folder, codes, _ = integers
    np.save(folder / "real.npy", codes.astype(np.float32) * np.float32(X))
    assert np.array_equal(
        simulated(penstock, folder, "real.npy")[1], simulated(penstock, folder, "codes.npy")[1]
    )


def test_codes_as_real_values_are_warned_of(integers: Any, penstock: Any) -> None:
    """Codes that someone made float32 saturate."""
    folder, codes, _ = integers
    np.save(folder / "pixels.npy", codes.astype(np.float32))
    result, _ = simulated(penstock, folder, "pixels.npy")
    (warning,) = json.loads(result.out)["warnings"]
    assert f"warning: {warning}\n" in result.err
    assert "of the image values saturate: they span" in warning


def test_other_integers_are_refused_and_the_hint_works(integers: Any, penstock: Any) -> None:
    folder, codes, expected = integers
    np.save(folder / "wide.npy", codes.astype(np.int64))
    arguments = ("simulate", folder / "net", "--engine", "golden", "--images", folder / "wide.npy")
    error = penstock(*arguments).error
    assert error.startswith(
        f"error: images are int64, expected float32 (real values) or {codes.dtype} (codes"
    )
    assert f"images.astype(numpy.{codes.dtype})" in error
    np.save(folder / "codes.npy", np.load(folder / "wide.npy").astype(codes.dtype))
    assert np.abs(simulated(penstock, folder, "codes.npy")[1] - expected).max() <= 1.01 * 0.03


def test_the_program_says_so(integers: Any) -> None:
    folder, codes, _ = integers
    compiled = load(folder / "net" / "program.pspkg")
    assert compiled.codes == codes.dtype
    scale = np.float32(compiled.package.meta["input"]["scale"])
    assert np.array_equal(
        compiled.quantize_input(codes),
        compiled.quantize_input(codes.astype(np.float32) * scale),
    )


def test_pixels_for_a_network_of_real_values(workspace: Any, penstock: Any, tmp_path: Path) -> None:
    """They are neither codes nor real values: the hint says what is wanted."""
    np.save(tmp_path / "x.npy", np.zeros((2, 2, 8, 6), np.uint8))
    error = penstock("simulate", workspace.compiled, "--images", tmp_path / "x.npy").error
    assert "images are uint8, expected float32" in error
    assert error.endswith("normalise them as for training, in float32")


@pytest.mark.parametrize(
    ("factor", "what"), [(100.0, "saturate"), (1e-4, "use less than 8 codes"), (1.0, "")]
)
def test_images_outside_the_range(
    factor: float, what: str, workspace: Any, penstock: Any, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.load(workspace.images) * np.float32(factor))
    result = penstock(
        "simulate", workspace.compiled, "--engine", "golden", "--images", tmp_path / "x.npy",
        "--json", "-",
    )  # fmt: skip
    warnings = json.loads(result.out)["warnings"]
    assert len(warnings) == bool(what) and all(what in text for text in warnings)
    assert all("the input quantiser's range is" in text for text in warnings)
