"""The nodes of an end of the network as a part of the Program."""

from collections.abc import Sequence

from penstock.compiler.importer.ends.steps import constant_names, to_steps
from penstock.compiler.importer.net import Array, EndNodes, Net
from penstock.program.network.ends import HostPart, HostStep, HostTensor, decode_part


def host_part(net: Net, end: EndNodes) -> HostPart:
    """What the host computes there, tried on zeros."""
    steps: list[HostStep] = []
    constants: dict[str, Array] = {}
    for node in end.nodes:
        made = to_steps(net, node)
        assert made is not None  # `peel` took no other node
        steps += made[0]
        constants |= made[1]
        read = {name for step in made[0] for name in step.inputs}
        constants |= {n: net.constants[n] for n in constant_names(net, node) if n in read}
    part = HostPart(
        source=_tensor(net, end.source),
        result=_tensor(net, end.result),
        constants=constants,
        steps=tuple(steps),
    )
    try:
        return decode_part(part.encode())
    except ValueError as error:  # shapes that ONNX's inference got otherwise
        raise end.nodes[-1].error(
            f"the host's part of the network {error}", "end the network at its logits"
        ) from None


def _tensor(net: Net, name: str) -> HostTensor:
    return HostTensor(name=name, shape=shape_of_one(net.shapes[name]), type=net.types[name])


def shape_of_one(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of one image's array: without the batch, unless the file has none there."""
    return tuple(shape[1:] if tuple(shape[:1]) == (1,) else shape)
