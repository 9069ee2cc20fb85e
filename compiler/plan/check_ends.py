"""What the ends of a network must be: its output stored, its exits in order."""

from penstock.compiler.errors import CompileError
from penstock.compiler.ir import Conv, Dense, Frame, Graph, Interleave, MapPool
from penstock.compiler.plan.steps import ExitStep, Step


def check_output(graph: Graph) -> None:
    """The output must be a map or a dense layer's vector: what can lie in feature memory."""
    kinds = (Conv, MapPool, Frame, Interleave, Dense)
    stored = {node.output for node in graph.nodes if isinstance(node, kinds)}
    missing = [name for name in graph.stored if name not in stored]
    if missing:
        raise CompileError(
            f"output '{missing[0]}' is not made by a convolution or a dense layer",
            hint="end the network with Conv, or with GlobalAveragePool and Gemm; gate scores are "
            "reported anyway",
        )


def check_exits(graph: Graph, steps: tuple[Step, ...]) -> None:
    """Each exit has a classifier head of the network's own classes, and they come in order."""
    found = [step.logits.name for step in steps if isinstance(step, ExitStep)]
    classes = graph.values[graph.output].shape
    for leave in graph.exits:
        if leave.logits not in found:
            raise CompileError(
                f"exit '{leave.logits}' is not made by a dense layer",
                hint="end each exit with GlobalAveragePool and Gemm",
            )
        if graph.values[leave.logits].shape != classes:
            raise CompileError(
                f"exit '{leave.logits}' has shape {graph.values[leave.logits].shape}, "
                f"the network's output {classes}",
                hint="give every exit the same classes",
            )
    if found != [leave.logits for leave in graph.exits]:
        raise CompileError(
            f"exits run in the order {', '.join(found)}, not as they are named",
            hint="name the exits in the order of the layers they read",
        )
