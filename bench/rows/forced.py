"""One Program with other gate weights for every image: masks are forced, gates still run.

For each image the Program loads that image's gate weights, writes a record (GLOAD, HALT) and then
runs the network (as compiled, HALT).  So the second record's counters are those of the network
in a running stream: the GLOAD, which a real Program runs once, is in the first.  What a Program
loads for every image it loads here too, with that image's weights.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from penstock.compiler.estimate.activity import decode
from penstock.compiler.estimate.masks import Scores
from penstock.compiler.force_gates import force_package_scores
from penstock.program.core.descriptor import Descriptor, Op
from penstock.program.network.package import Package

Bytes = npt.NDArray[np.uint8]


def _changed(descriptor: Descriptor, **values: int) -> Descriptor:
    return Descriptor(values=descriptor.values | values)


def forced_package(package: Package, memory: Scores) -> Package:
    """The Program that runs image i of `forced_inputs` with the scores memory[i]."""
    descriptors = decode(package)
    loop = descriptors[-1].length
    loads, body = descriptors[:loop], descriptors[loop:-1]
    assert all(d.op == Op.GLOAD for d in loads), "only GLOAD runs once"
    stream, blob = [], [package.weights]
    at = len(package.weights)
    for scores in memory:
        weights = force_package_scores(package, scores).weights
        for part in (loads, body):
            for d in part:
                if d.op == Op.GLOAD:
                    blob.append(weights[d.w_addr : d.w_addr + d.length])
                    d = _changed(d, w_addr=at)
                    at += d.length
                stream.append(d)
            stream.append(_changed(descriptors[-1], length=len(stream) + 1))
    stream[-1] = _changed(descriptors[-1], length=0)
    data = b"".join(d.encode() for d in stream)
    return dataclasses.replace(package, descriptors=data, weights=b"".join(blob))


def forced_inputs(inputs: Bytes) -> Bytes:
    """Each image after one that only loads gate weights."""
    doubled = np.zeros((2 * len(inputs), inputs.shape[1]), np.uint8)
    doubled[1::2] = inputs
    return doubled


def forced_records(records: Bytes) -> Bytes:
    """The records of the images themselves."""
    return records[1::2]
