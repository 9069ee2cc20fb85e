"""The ways through a program: one to the HALT of the whole network, one to that of each exit."""

from collections.abc import Sequence

from penstock.program.core.descriptor import Descriptor, Op


def main_halt(descriptors: Sequence[Descriptor]) -> int:
    """Index of the HALT of an image that takes no exit."""
    return next(index for index, d in enumerate(descriptors) if d.op == Op.HALT)


def paths(descriptors: Sequence[Descriptor]) -> dict[int, tuple[int, ...]]:
    """HALT -> the descriptors that an image ending there comes by, what runs once included.

    The program is one that `check_program` accepts: exits lie before the first HALT, and what
    each goes on at leads to a HALT of its own.
    """
    last = main_halt(descriptors)
    found = {last: tuple(range(last + 1))}
    for index in range(last):
        if descriptors[index].op == Op.EXIT_IF:
            target = descriptors[index].length
            halt = target + main_halt(descriptors[target:])
            found[halt] = (*range(index + 1), *range(target, halt + 1))
    return found
