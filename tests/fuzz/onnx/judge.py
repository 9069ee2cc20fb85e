"""A network compiled, run in golden and compared with onnxruntime: shapes first, then values."""

import dataclasses
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from penstock.compiler.api import compile_onnx
from penstock.compiler.check import CheckError, check_graph, prepare
from penstock.compiler.check.reference import Reference
from penstock.compiler.compiled import CompiledNetwork
from penstock.compiler.decoded import Decoded
from penstock.compiler.errors import CompileError
from penstock.compiler.importer.ends import mirror
from penstock.program.base.errors import PenstockError
from penstock.program.core.config import get_config
from penstock.program.core.counters import COUNTER_BYTES
from penstock.sim import golden
from tests.fuzz.onnx.builder import Array
from tests.fuzz.onnx.draw import Drawn

#: Steps of the logits that a QDQ network may be off, all its layers together.
STEPS = 3.01
#: Share of the largest logit that a calibrated network may be off.
SHARE = 0.12

#: Verdicts that are no findings.  "unjudged": onnxruntime does not run the file.  "rounding": more
#: than STEPS or SHARE, but every layer alone is right to a step.
GOOD = ("equal", "refused", "rounding", "unjudged")


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """`kind`: one of GOOD, or "wrong", "shape", "engines", "traceback"; `text` says what."""

    kind: str
    text: str = ""

    @property
    def good(self) -> bool:
        return self.kind in GOOD


def judge(drawn: Drawn, config: str = "tiny") -> Verdict:
    """What becomes of a network."""
    try:
        network = build(drawn, config)
    except PenstockError as error:
        return Verdict("refused", str(error))
    except Exception:
        return Verdict("traceback", traceback.format_exc())
    try:
        expected = run_original(drawn.model, drawn.images)
    except CompileError as error:
        return Verdict("unjudged", str(error))
    try:
        return compare(network, drawn, expected)
    except Exception:
        return Verdict("traceback", traceback.format_exc())


def build(drawn: Drawn, config: str = "tiny") -> CompiledNetwork:
    """The compiled network, as `penstock compile` makes it; float ones calibrated."""
    costs = mirror.STEP_CYCLES, mirror.HOST_CYCLES
    mirror.STEP_CYCLES = mirror.HOST_CYCLES = 0  # networks are small: whatever saves a cycle
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.onnx"
            path.write_bytes(drawn.model.SerializeToString())
            calibration = None if drawn.quantized else drawn.images
            return compile_onnx(path, get_config(config), calibration=calibration)
    finally:
        mirror.STEP_CYCLES, mirror.HOST_CYCLES = costs


def run_original(model: onnx.ModelProto, images: Array) -> list[Array]:
    """The outputs of the file itself in onnxruntime."""
    names = [output.name for output in model.graph.output]
    outputs = Reference(prepare(model), names).run(images)
    return [outputs[name] for name in names]


def compare(network: CompiledNetwork, drawn: Drawn, expected: list[Array]) -> Verdict:
    """Engines with each other, then with onnxruntime."""
    inputs = network.quantize_input(as_real(network, drawn.images))
    records, graph = golden.run(network.package, inputs), network.run_graph(inputs)
    if (records[:, COUNTER_BYTES:] != graph[:, COUNTER_BYTES:]).any():
        return Verdict("engines", "golden differs from the graph")
    decoded = network.decode_output(records)
    pairs = _pairs(network, decoded, drawn, expected)
    for got, want, _ in pairs:
        if got[0].size != want[0].size:
            return Verdict("shape", f"{got.shape[1:]}, onnxruntime has {want.shape[1:]}")
    shares = [_off(got, want, scale if drawn.quantized else None) for got, want, scale in pairs]
    text = f"{max(shares):.2f} of what is allowed"
    assert network.graph is not None and network.model is not None
    model = prepare(onnx.load_model_from_string(network.model))
    try:
        check_graph(network.graph, model, drawn.images).require()
    except CheckError as error:
        return Verdict("wrong", f"{text}; {error}")
    if max(shares) <= 1:
        return Verdict("equal", text)
    return Verdict("rounding", text)


def _pairs(
    network: CompiledNetwork, decoded: Decoded, drawn: Drawn, expected: list[Array]
) -> list[tuple[Array, Array, float | None]]:
    """What the core made and what onnxruntime made, of every output; of exits the one taken.

    With each its scale, None where the host goes on from there.
    """
    meta = network.package.meta
    if not meta["exits"] and len(expected) > 1:
        # A file may name an output twice; here it has its name once.
        given = dict(zip((o.name for o in drawn.model.graph.output), expected, strict=True))
        assert [*decoded.outputs] == [*given] == [entry["name"] for entry in meta["outputs"]]
        scales = [None if "tail" in entry else _step(entry) for entry in meta["outputs"]]
        return list(zip(decoded.outputs.values(), given.values(), scales, strict=True))
    rows = zip(decoded.exits, range(len(decoded.exits)), strict=True)
    real = np.stack([expected[taken][index].reshape(-1) for taken, index in rows])
    return [(decoded.results, real, None if "tails" in meta else _step(meta["output"]))]


def _step(output: Mapping[str, Any]) -> float | None:
    """A step of an output; None where 16 bits make it finer than what all layers may be off."""
    return None if output.get("bits") == 16 else float(output["scale"])


def _off(got: Array, want: Array, scale: float | None) -> float:
    """The largest difference over what is allowed: steps, or a share where the host goes on."""
    real = want.reshape(len(want), -1).astype(np.float64)
    off = np.abs(real - got.reshape(len(got), -1))
    share = SHARE * max(float(np.abs(real).max()), 1e-30)
    return float(off.max()) / (share if scale is None else STEPS * scale)


def as_real(network: CompiledNetwork, images: Array) -> Array:
    """Images as engines take them: float32, or the codes with which the file computes."""
    if images.dtype == np.float32 or not network.takes_real:
        return images
    scale = np.float32(network.package.meta["input"]["scale"])
    return (images.astype(np.float32) * scale).astype(np.float32)
