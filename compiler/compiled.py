"""A compiled network: a Program and what is needed to use it, saved, loaded, fed and read."""

import dataclasses
import functools
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.compiler.check import CheckResult, check_file
from penstock.compiler.decoded import Decoded
from penstock.compiler.disasm import listing
from penstock.compiler.emit.legal import check_program
from penstock.compiler.estimate import cost
from penstock.compiler.estimate.activity import halts_of
from penstock.compiler.estimate.macs import MacCount, count_macs
from penstock.compiler.estimate.masks import close_within
from penstock.compiler.estimate.report import bias_figures, build_report
from penstock.compiler.force_gates import force_graph_open, force_package_open, without_gates
from penstock.compiler.importer import import_onnx
from penstock.compiler.inputs import check_images, host_rows
from penstock.compiler.interpreter import exits_taken as graph_exits
from penstock.compiler.interpreter import run_graph
from penstock.compiler.ir import Graph, IntArray
from penstock.compiler.numerics import quantize
from penstock.compiler.pipeline import compile_graph
from penstock.program.base.arith import ceil_div
from penstock.program.base.errors import PenstockError
from penstock.program.base.folder import reading, write_folder
from penstock.program.core.counters import COUNTER_BYTES, COUNTER_NAMES
from penstock.program.network.ends import HostPart, decode_results, head_of, labels_of, tails_of
from penstock.program.network.exits import (
    clear_unreached,
    decode_logits,
    exits_taken,
    with_thresholds,
)
from penstock.program.network.metadata import result_stride
from penstock.program.network.outputs import decode_outputs
from penstock.program.network.package import Package

Bytes = npt.NDArray[np.uint8]

PROGRAM_FILE = "program.pspkg"
LISTING_FILE = "listing.txt"
REPORT_FILE = "report.json"
MODEL_FILE = "model.onnx"

#: By which a folder is known as a compiled network.
COMMAND = "compile"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CompiledNetwork:
    """A Program and what is needed to use it.

    Attributes:
        package: the Program.
        model: bytes of the ONNX file (self-contained, quantised), if known.
        graph: its integer graph, if it was imported already.
        open_gates: this is the dense baseline, every score forced to 1.
        checked: what `check` found; part of the report.
        warnings: what compiled and will be of little use, a line each.
    """

    package: Package
    model: bytes | None = None
    graph: Graph | None = None
    open_gates: bool = False
    checked: CheckResult | None = None
    warnings: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Images a run: what the core takes for one image, and makes one record of."""
        return int(self.package.meta["images"])

    @functools.cached_property
    def head(self) -> HostPart | None:
        """What the host makes of an image before the core, if anything."""
        return head_of(self.package.meta)

    @functools.cached_property
    def tails(self) -> tuple[HostPart, ...]:
        """What the host makes of the logits of each exit and of the output, if anything."""
        return tails_of(self.package.meta)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """An image as the network's file takes it, without the batch: mostly (C, H, W)."""
        return self.head.source.shape if self.head else self.core_shape

    @property
    def core_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image as the core reads it."""
        channels, height, width = self.package.meta["input"]["shape"]
        return channels, height, width

    @property
    def codes(self) -> np.dtype[Any] | None:
        """int8 or uint8, where the network's file takes images of that type; else None."""
        image = self.package.meta["input"]
        if self.head is not None:
            kind = np.dtype(self.head.source.type)
            return kind if kind.kind in "iu" else None
        return np.dtype(np.int8 if image["signed"] else np.uint8) if image.get("integer") else None

    def on_the_host(self) -> list[tuple[str, str]]:
        """What the host computes, for a person: (where, operators)."""
        exits = [leave["name"] for leave in self.package.meta["exits"]]
        return host_rows(self.head, self.tails, exits)

    @property
    def takes_real(self) -> bool:
        """Whether float32 images are real values: not where the file computes with its codes."""
        return self.head is None or self.head.moves or self.head.source.type == "float32"

    def core_images(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Images as the core's quantiser takes them: what the head makes of them.

        Raises:
            PenstockError: another shape or dtype, NaN or infinity; says expected and got.
        """
        check_images(images, self.input_shape, self.codes, self.takes_real)
        if self.head is None:
            return images
        made = self.head.run(images)
        if made.dtype.kind == "f" and not np.isfinite(made).all():
            raise PenstockError(
                f"images: what the network computes of them before its first layer "
                f"({self.head.operators}) is not finite"
            )
        return made

    def quantize_input(self, images: npt.NDArray[Any]) -> Bytes:
        """float32 [N, C, H, W] -> uint8 [runs, input bytes], as the core reads them.

        A run takes `images` images; what the last one lacks is zeros.  Real values; a network
        whose file takes int8 or uint8 images takes an array of that type as well, codes that go
        to the core as they are.

        Raises:
            PenstockError: another shape or dtype, NaN or infinity; says expected and got.
        """
        image = self.package.meta["input"]
        codes = self.core_images(images)
        if codes.dtype == np.float32:
            codes = quantize(codes, image["scale"], image["signed"], image.get("zero_point", 0))
        runs = ceil_div(len(images), self.images)
        data = np.zeros((runs * self.images, image["bytes"]), np.uint8)
        pixels = np.ascontiguousarray(codes).reshape(len(images), -1).view(np.uint8)
        data[: len(images), : math.prod(self.core_shape)] = pixels
        return data.reshape(runs, -1)

    def decode_output(self, records: Bytes, images: int | None = None) -> Decoded:
        """Records uint8 [runs, record bytes] -> logits, labels, scores and counters.

        `images`: how many of the records' images to decode; None: all, with the last run's padding.
        """
        meta = self.package.meta
        logits = decode_logits(records, meta)[:images]
        exits = np.repeat(exits_taken(records, meta), self.images)[:images]
        results = decode_results(logits, exits, self.tails)
        words = np.ascontiguousarray(records[:, :COUNTER_BYTES]).view("<u4")
        return Decoded(
            logits=logits,
            label=labels_of(logits, results, self.tails),
            scores={
                gate["name"]: records[:, gate["offset"] : gate["offset"] + gate["count"]].copy()
                for gate in meta["gates"]
            },
            counters={name: words[:, i].astype(np.uint32) for i, name in enumerate(COUNTER_NAMES)},
            exits=exits,
            results=results,
            outputs=decode_outputs(records, results, meta),
        )

    def run_graph(self, inputs: Bytes) -> Bytes:
        """Records of the integer graph: no Program, no skipping; of the counters only
        `exit`, where there are early ones.

        Scores are the core's: those of a skipped block's channel gate are 0, and those that an
        early exit came before.

        Raises:
            PenstockError: the ONNX file is not there (a lone program file was loaded).
        """
        meta, graph = self.package.meta, self.integer_graph()
        image, result = meta["input"], meta["output"]
        codes = inputs.reshape(-1, image["bytes"])[:, : math.prod(self.core_shape)]
        codes = codes.view(np.int8) if image["signed"] else codes
        values = run_graph(graph, codes.reshape(-1, *self.core_shape))
        records = np.zeros((len(inputs), meta["record_bytes"]), np.uint8)
        for gate in meta["gates"]:
            data = values[gate["name"]].reshape(len(inputs), -1).view(np.uint8)
            records[:, gate["offset"] : gate["offset"] + data.shape[1]] = data
        for index in range(self.images):
            data = _bytes_of(values[result["name"]][index :: self.images])
            at = result["offset"] + index * result_stride(meta)
            records[:, at : at + data.shape[1]] = data
        for name, entry in zip(graph.others, meta.get("outputs", [])[1:], strict=True):
            data = _bytes_of(values[name])
            records[:, entry["offset"] : entry["offset"] + data.shape[1]] = data
        scores = slice(COUNTER_BYTES, COUNTER_BYTES + sum(gate["count"] for gate in meta["gates"]))
        records[:, scores] = close_within(self.package, records[:, scores])
        if graph.exits:
            self._take_exits(records, graph, values)
        return records

    def _take_exits(self, records: Bytes, graph: Graph, values: dict[str, IntArray]) -> None:
        """Make records of images that run to the end those of images that may end before it."""
        meta, taken = self.package.meta, graph_exits(graph, values)
        halts = halts_of(self.package, len(records), taken).astype("<u4")
        at, offset = 4 * COUNTER_NAMES.index("exit"), meta["output"]["offset"]
        records[:, at : at + 4] = halts.view(np.uint8).reshape(-1, 4)
        for index, leave in enumerate(graph.exits):
            data = _bytes_of(values[leave.logits])[taken == index]
            records[taken == index, offset:] = 0  # its logits may be shorter than the result
            records[taken == index, offset : offset + data.shape[1]] = data
        clear_unreached(records, meta)

    def onnx_file(self) -> bytes:
        """The bytes of the quantised file.  PenstockError if a lone program file was loaded."""
        if self.model is None:
            raise PenstockError(
                "the integer graph needs the network's ONNX file",
                hint=f"give the folder of `penstock compile`, it holds {MODEL_FILE}",
            )
        return self.model

    def integer_graph(self) -> Graph:
        """What the importer made of the file, with this program's thresholds; as `onnx_file`."""
        graph = self.graph or _import_bytes(self.onnx_file())
        exits = tuple(
            dataclasses.replace(leave, threshold=meant["threshold"])
            for leave, meant in zip(graph.exits, self.package.meta["exits"], strict=True)
        )
        graph = dataclasses.replace(graph, exits=exits)
        return force_graph_open(graph) if self.open_gates else graph

    def check(self, images: npt.NDArray[Any], original: Path | None = None) -> "CompiledNetwork":
        """The same network with what comparing it with its ONNX file in onnxruntime gave.

        Args:
            images: (N, C, H, W), N >= 1, as for `quantize_input`.
            original: the float file, if the network was quantised with images.

        Raises:
            PenstockError: the ONNX file is not there; onnxruntime is missing, or refuses the file.
        """
        check_images(images, self.input_shape, self.codes, self.takes_real)
        graph = dataclasses.replace(self, open_gates=False).integer_graph()
        result = check_file(graph, self.onnx_file(), images, original)
        return dataclasses.replace(self, checked=result)

    def force_gates_open(self) -> "CompiledNetwork":
        """The same program with every score 128: the dense baseline."""
        package = force_package_open(self.package)
        return dataclasses.replace(self, package=package, open_gates=True)

    def static(self) -> "CompiledNetwork":
        """The same network without its gates, compiled for the same core: what skipping is worth.

        Raises:
            PenstockError: the ONNX file is not there (a lone program file was loaded).
        """
        graph = without_gates(self.integer_graph())
        package = compile_graph(
            graph, self.package.config, self.package.meta["schedule"], images=self.images
        )
        return CompiledNetwork(package=package, graph=graph)

    def with_thresholds(self, thresholds: Sequence[float]) -> "CompiledNetwork":
        """The same program with other thresholds of its early exits, in order.

        Raises:
            PenstockError: another number of thresholds, or one that is none.
        """
        return dataclasses.replace(self, package=with_thresholds(self.package, thresholds))

    def predict(
        self, scores: dict[str, Bytes], exits: npt.NDArray[np.int64] | None = None
    ) -> cost.Prediction:
        """Cycles and bytes for gate scores, one array (N, n) a gate, and exits (`Decoded`).

        Of a run: of several images, where it takes several.
        """
        return cost.predict(self.package, scores, exits=exits)

    def macs(
        self, scores: dict[str, Bytes], exits: npt.NDArray[np.int64] | None = None
    ) -> MacCount:
        """Multiply-accumulates for gate scores, one array (N, n) a gate, and exits (`Decoded`)."""
        return count_macs(self.package, scores, exits)

    def save(self, folder: Path, *, force: bool = False) -> None:
        """Write program, listing, report and ONNX file; `load` never sees half of it.

        Replaces an earlier result and leaves other files alone (`program/base/folder.py`).

        Raises:
            WriteError: `folder` is not an earlier result, or one that was changed, and `force` is
                not given; or it cannot be written.
        """
        write_folder(Path(folder), self._write, COMMAND, force=force)

    def _write(self, folder: Path) -> None:
        self.package.save(folder / PROGRAM_FILE)
        (folder / LISTING_FILE).write_text(listing(self.package), encoding="utf-8")
        figures = build_report(self.package) | {"warnings": list(self.warnings)}
        figures["host"] = dict(self.on_the_host())
        if self.graph is not None:
            figures["biases"] = bias_figures(self.graph)
        if self.checked is not None:
            figures["check"] = self.checked.figures()
        report = json.dumps(figures, indent=2)
        (folder / REPORT_FILE).write_text(report + "\n", encoding="utf-8")
        if self.model is not None:
            (folder / MODEL_FILE).write_bytes(self.model)


def _bytes_of(values: IntArray) -> Bytes:
    """(N, ...) integers as the bytes (N, n) of a record."""
    flat = np.ascontiguousarray(values).reshape(len(values), -1)
    return flat.astype(flat.dtype.newbyteorder("<"), copy=False).view(np.uint8)


def _import_bytes(model: bytes) -> Graph:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL_FILE
        path.write_bytes(model)
        return import_onnx(path)


def load(path: Path) -> CompiledNetwork:
    """A compiled network from its folder or from a lone program file.

    Raises:
        PenstockError: missing, truncated or corrupted, or built by another release.
    """
    path = Path(path)
    if not path.is_dir():
        return CompiledNetwork(package=_load_package(path))
    with reading(path):
        package = _load_package(path / PROGRAM_FILE)
        model = path / MODEL_FILE
        data = model.read_bytes() if model.is_file() else None
    return CompiledNetwork(package=package, model=data)


def _load_package(path: Path) -> Package:
    package = Package.load(path)
    check_program(package, str(path))
    return package
