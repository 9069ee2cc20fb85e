"""PyTorch modules as ONNX: what the door compiles of them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from penstock.compiler.importer.onnx_file.load import set_properties
from penstock.errors import InputError
from penstock.model.export import export_qat
from penstock.model.export.networks import build_float_onnx, build_onnx
from penstock.model.networks.registry import AnyNet
from penstock.model.quantize import QatNetwork
from penstock.model.quantize.prepare import copied
from penstock.model.quantize.twin import QuantNetwork
from penstock.model.trace.tracer import trace

Array = npt.NDArray[np.float32]

#: Images of a forward pass of PyTorch.
BATCH = 64
#: The ONNX operators of which the importer knows every spelling.
OPSET = 18


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exported:
    """A module as ONNX.

    Attributes:
        model: the file; `quantized` if it is in the core's number formats.
        logits: the module itself: float32 [N, C, H, W] -> float32 [N, classes].
    """

    model: onnx.ModelProto
    quantized: bool
    logits: Callable[[Array], Array]


def export_module(module: nn.Module, example: Array | None, calibration: Array | None) -> Exported:
    """Export a module, which stays as it is, in evaluation mode and on the CPU.

    Args:
        module: of one image tensor; returns logits, or a tuple of them: early exits first.
        example: float32 [N, C, H, W], N >= 1; None: the first of `calibration`.
        calibration: images, with which a `prepare_qat` network without scales is calibrated.

    Raises:
        InputError: no example; weights that are no finite numbers.
        TraceError: its forward pass cannot be traced: module, line, what to do.
    """
    module = copied(module).cpu().eval()
    _check_finite(module)
    runs = _runner(module)
    if isinstance(module, AnyNet):
        return Exported(model=build_float_onnx(module), quantized=False, logits=runs)
    if isinstance(module, QatNetwork):
        _settle(module, calibration)
        build = build_onnx if isinstance(module, QuantNetwork) else export_qat
        return Exported(model=build(module), quantized=True, logits=runs)
    first = calibration if example is None else example
    if first is None:
        raise InputError(
            f"{type(module).__name__} is compiled from a trace, which needs an example",
            hint="example: one batch of its input, float32 [N, C, H, W]",
        )
    model = _export_float(module, torch.from_numpy(np.ascontiguousarray(first[:1])))
    return Exported(model=model, quantized=False, logits=runs)


def _check_finite(module: nn.Module) -> None:
    for name, tensor in module.state_dict().items():
        if isinstance(tensor, Tensor) and tensor.is_floating_point():
            if not bool(torch.isfinite(tensor).all()):
                raise InputError(
                    f"'{name}' of {type(module).__name__} holds NaN or infinity",
                    hint="train it again: a lower learning rate, or clipped gradients",
                )


def _settle(net: QatNetwork, calibration: Array | None) -> None:
    """Scales as an export needs them: constant, and calibrated."""
    net.fix_scales()
    if all(float(quantizer.scale) > 0 for quantizer in net.quantizers()):
        return
    if calibration is None:
        raise InputError(
            "the quantised network was not calibrated",
            hint="net.calibrate([images]) before training it, or calibration=images here",
        )
    net.calibrate(torch.from_numpy(calibration).split(BATCH))


def _export_float(module: nn.Module, example: Tensor) -> onnx.ModelProto:
    """By torch's own exporter, after a trace of ours: alone it would fix a branch on data."""
    traced = trace(module, example)
    returned = next(node for node in traced.graph.nodes if node.op == "output").args[0]
    outputs = returned if isinstance(returned, (tuple, list)) else (returned,)
    exits = [f"exit{index}" for index in range(len(outputs) - 1)]
    names = [*exits, "logits"]
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        torch.onnx.export(
            module,
            (example,),
            file,
            input_names=["image"],
            output_names=names,
            dynamic_axes={name: {0: "N"} for name in ("image", *names)},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_model_from_string(file.getvalue())
    model.graph.name = type(module).__name__
    if exits:
        set_properties(model, {"exits": ",".join(names)})
    return model


def _runner(module: nn.Module) -> Callable[[Array], Array]:
    """The module's own logits, the last of several outputs."""

    @torch.no_grad()
    def logits(images: Array) -> Array:
        parts = []
        for part in torch.from_numpy(np.ascontiguousarray(images)).split(BATCH):
            found = module(part)
            if isinstance(module, AnyNet | QuantNetwork):
                found = found[0]  # behind it the scores of its gates
            found = found[-1] if isinstance(found, (tuple, list)) else found
            parts.append(found.reshape(len(part), -1).numpy())
        return np.concatenate(parts).astype(np.float32)

    return logits
