"""torch.fx trace of a module in evaluation mode, with the shape of every value."""

from __future__ import annotations

import io
import re
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from penstock.model.errors import ModelError
from penstock.model.gates.experts import Source
from penstock.model.gates.score import Score
from penstock.model.trace.two_logits import simplified

TORCH = str(Path(torch.__file__).parent)
#: Layers that the hardware has as one, also where a user derives from them.
LAYERS = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, Score, Source)


class TraceError(ModelError):
    """A module that cannot be traced, or an operator without an integer form."""


class _Tracer(fx.Tracer):
    record_stack_traces = True  # each node knows the user's line

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LAYERS) or super().is_leaf_module(m, module_qualified_name)


def trace(net: nn.Module, example: Tensor, method: str = "forward") -> fx.GraphModule:
    """The graph of `net`, which must be in evaluation mode; every node knows its shape.

    Decisions between two logits are one sum's (`penstock.model.trace.two_logits`).

    Args:
        net: a module of one image tensor.
        example: float [N, C, H, W]; its values do not matter.
        method: of the module, that is traced.

    Raises:
        TraceError: control flow that depends on data, or a module that rejects the example.
    """
    tracer = _Tracer()
    tracer.traced_func_name = method
    try:
        graph = tracer.trace(net)
    except Exception as error:  # whatever a user's forward raises on a proxy
        raise TraceError(
            f"{type(net).__name__} cannot be traced{_where(error)}: {_first_line(error)}",
            "a forward pass must not branch on the values of tensors; decide with the gate layers "
            "of penstock.model.gates, or by settings of the module",
        ) from error
    module = fx.GraphModule(tracer.root, graph, type(net).__name__)
    module.graph.eliminate_dead_code()
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise TraceError(f"{type(net).__name__} has {len(inputs)} inputs", "one image tensor")
    _shapes(module, example)
    simplified(module)
    return module


def deployed(net: nn.Module) -> nn.Module:
    """The module with every part that is exported in another form than trained in that form."""
    for path, module in list(net.named_modules()):
        form = getattr(module, "deployed", None)
        if callable(form) and path:
            net.set_submodule(path, form())
    return net


def error(node: fx.Node, reason: str, hint: str = "") -> TraceError:
    """A TraceError about a node: what it is, the module and the line of the user's forward."""
    return TraceError(f"{describe(node)}{_source(node)}: {reason}", hint)


def describe(node: fx.Node) -> str:
    """How a user knows a node: module path, or function name."""
    if node.op == "call_module":
        return f"'{node.target}'"
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return f"'{name}' ({node.name})"


def _shapes(module: fx.GraphModule, example: Tensor) -> None:
    try:
        with torch.no_grad(), redirect_stderr(io.StringIO()):  # it prints what it raises
            ShapeProp(module).propagate(example)
    except Exception as error:
        raise TraceError(
            f"the module does not run on an example of {example.dtype} {tuple(example.shape)}: "
            f"{_first_line(error.__cause__ or error)}",
            "give one batch of network input, float [N, C, H, W]",
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _where(error: BaseException) -> str:
    """File and line of the innermost frame outside torch."""
    frames: Sequence[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith(TORCH) and f.filename != __file__]
    return f" ({own[-1].filename}:{own[-1].lineno} {own[-1].line})" if own else ""


def _source(node: fx.Node) -> str:
    """The line of the user's forward that made the node."""
    frames = re.findall(r'File "(.+?)", line (\d+), in \w+\n\s*(.*)', node.stack_trace or "")
    own = [frame for frame in frames if not frame[0].startswith(TORCH)]
    return f" ({own[-1][0]}:{own[-1][1]} {own[-1][2].strip()})" if own else ""
