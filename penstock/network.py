"""A compiled network as its user has it: call it, compare it, ask what its gates do and cost."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from penstock.comparison import Comparison, compare_network
from penstock.engines import (
    ENGINES,
    Images,
    Memory,
    Progress,
    Run,
    build_engines,
    run_engine,
    run_onnx,
)
from penstock.errors import InputError, PenstockWarning
from penstock.gatelist import GateList, find_gates
from penstock.images import as_array, check_images, image_warnings, normalized
from penstock.program.base.optional import require
from penstock.program.network.pixels import Pixels, pixels_of
from penstock.tables import Table
from penstock.target import clock_of

if TYPE_CHECKING:
    from penstock.boards.board import Board
    from penstock.compiler.compiled import CompiledNetwork
    from penstock.sources import Model, Original

#: What a call takes without being told: the core behind a memory of usual latency.
MEMORY = Memory()


class Network:
    """A network compiled for one hardware configuration.  Made by `penstock.compile` and `load`.

        logits = net(images)         # float32 [N, C, H, W] -> float32 [N, classes]
        run = net.run(images, "rtl") # logits, labels, gate scores, counters

    On a board `penstock.host` runs the same program and is called the same way.

    Attributes:
        compiled: the Program, its integer graph and its quantised ONNX file.
        board: the board it was compiled for, if one was named.
        original: what the integers stand for, where it is known: see `compare`.
        unchecked: why it was not compared with its ONNX file though there were images; else "".
    """

    def __init__(
        self,
        compiled: CompiledNetwork,
        *,
        board: Board | None = None,
        original: Original | None = None,
        unchecked: str = "",
    ) -> None:
        self.compiled, self.board = compiled, board
        self.original, self.unchecked = original, unchecked

    @property
    def name(self) -> str:
        """The network's name in its ONNX file."""
        return str(self.compiled.package.meta["network"])

    @property
    def config(self) -> str:
        """The hardware configuration it was compiled for."""
        return str(self.compiled.package.meta["config"])

    @property
    def input_shape(self) -> tuple[int, ...]:
        """An image as the network's file takes it: (C, H, W), unless the host makes that of it."""
        return self.compiled.input_shape

    @property
    def pixels(self) -> Pixels | None:
        """How uint8 photographs become its input, if that is known."""
        head = self.compiled.head
        return pixels_of(self.compiled.package.meta["input"], head.source.shape if head else None)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the logits; empty if they are not known."""
        return tuple(self.compiled.package.meta["output"].get("class_names", ()))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What compiled and is of little use, a line each."""
        return self.compiled.warnings

    @property
    def gates(self) -> GateList:
        """The gates that were found, and what each of them skips."""
        return find_gates(self.compiled)

    def __call__(
        self, images: Any, *, engine: str = "golden", memory: Memory = MEMORY
    ) -> npt.NDArray[Any]:
        """Logits, float32 [N, classes]; where an image ends early, those of its exit.

        Where the network's file goes on behind its logits (softmax, argmax, ...) its own output.

        Args:
            images: [N, C, H, W] of NumPy or PyTorch: real values as for training, or codes in the
                integer type that the network's file takes; uint8 photographs where the network
                knows the convention of its pixels, also N x H x W x C, or one H x W x C.
            engine: "golden" (the Program, NumPy integers), "rtl" (the SystemVerilog core in
                Verilator), "csim" (the HLS core's C++), "graph" (integers without a Program) - all
                equal to the bit - or "onnx" (the quantised file in onnxruntime, equal but for
                rounding).
            memory: what the simulated core sees.

        Raises:
            PenstockError: images of another shape or type, NaN or infinity; an unknown engine, or
                one that cannot be built here.
        """
        if engine == "onnx":
            return run_onnx(self.compiled, self.prepare(images))
        return self.run(images, engine, memory=memory).outputs

    def run(
        self,
        images: Any,
        engine: str = "golden",
        *,
        memory: Memory = MEMORY,
        progress: Progress | None = None,
    ) -> Run:
        """Everything an engine gives: logits, labels, scores of the gates, exits, counters.

        Arguments and errors as a call; "onnx" is none of these engines.  `progress` is called with
        (images begun, images) where the engine can tell.
        """
        if engine not in ENGINES or engine == "onnx":
            records = ", ".join(name for name in ENGINES if name != "onnx")
            raise InputError(f"unknown engine '{engine}'", hint=f"one of {records}")
        array = self.prepare(images)
        build_engines((engine,), self.compiled, memory)
        return run_engine(engine, self.compiled, array, memory, progress)

    def prepare(self, images: Any) -> Images:
        """Images as the engines take them; a PenstockWarning where much of them saturates.

        Raises:
            InputError: another shape or type, NaN or infinity.
        """
        array, odd = self.checked_images(as_array(images, "images"), "images")
        for text in odd:
            warnings.warn(text, PenstockWarning, stacklevel=3)
        return array

    def checked_images(
        self, array: npt.NDArray[Any], source: str, limit: int | None = None
    ) -> tuple[Images, list[str]]:
        """The first `limit` images of an array, and what is odd about them; errors as `prepare`.

        `source`: what a message calls them.
        """
        compiled = self.compiled
        known = self.pixels if compiled.codes is None else None
        if known is not None and array.dtype == np.uint8:
            array = normalized(array, known, self.input_shape, source)
        images = check_images(
            array, self.input_shape, source, limit, compiled.codes, compiled.takes_real
        )
        core = compiled.core_images(images)
        return images, image_warnings(core, compiled.package.meta["input"])

    def compare(
        self,
        images: Any,
        engines: Sequence[str] = ("golden", "rtl"),
        *,
        layers: bool = False,
        original: Model | None = None,
        memory: Memory = MEMORY,
    ) -> Comparison:
        """Run images through several engines and the original, and say what differs.

        Args:
            images: as for a call.
            engines: compared with the first, byte for byte; "onnx" is compared with the graph.
            layers: also compare every layer of the integer graph with the quantised file in
                onnxruntime; one step is rounding.
            original: what the integers stand for, as `penstock.compile` takes it; None: what the
                network was compiled of, if that is known.
            memory: what the simulated core sees.

        Raises:
            PenstockError: as a call.
        """
        return compare_network(
            self, self.prepare(images), engines, layers=layers, original=original, memory=memory
        )

    def estimate(
        self,
        keep: float = 1.0,
        blocks_skipped: float = 0.0,
        *,
        masks: int = 20,
        seed: int = 0,
        board: str | None = None,
        clock: float | None = None,
    ) -> Estimate:
        """What the cost model says of an image: nothing is simulated.

        Means over `masks` random masks in which a channel is kept with probability `keep` and the
        share `blocks_skipped` of the blocks is skipped; without either every gate is open.

        Args:
            board: whose clock counts, an estimate itself; None: the one compiled for, or the first
                with the network's configuration.
            clock: another clock, MHz.

        Raises:
            PenstockError: a share outside 0 .. 1, no mask, an unknown board.
        """
        for label, share in (("keep", keep), ("blocks_skipped", blocks_skipped)):
            if not 0 <= share <= 1:
                raise InputError(f"{label} is {share}", hint="give a share, 0 .. 1")
        if masks < 1:
            raise InputError(f"masks is {masks}", hint="give at least 1")
        package = self.compiled.package
        shares: dict[str, Any] = {"keep": keep, "blocks_skipped": blocks_skipped}
        shares["clock_source"] = "estimate" if clock is None else "given"
        if clock is None:
            clock = clock_of(package.config, board or self.board)
        rng = np.random.default_rng(seed)
        memory = require("penstock.compiler.estimate.masks").forced_scores(
            package, masks, keep=keep, blocks_skipped=blocks_skipped, rng=rng
        )
        figures = require("penstock.compiler.estimate.summary").estimate(package, memory, clock)
        return Estimate(figures=figures | shares)

    def listing(self) -> str:
        """The Program as people read it: `penstock disasm`."""
        return str(require("penstock.compiler.disasm").listing(self.compiled.package))

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write a folder for `load` and the commands: program, listing, report, ONNX file.

        An earlier result is replaced whole or not at all; other files in the folder stay.

        Raises:
            PenstockError: the folder holds something else, or files that were changed since, and
                `force` is not given; or it cannot be written.
        """
        self.compiled.save(Path(path), force=force)

    def __repr__(self) -> str:
        return f"<penstock.Network {self.name} for {self.config}, {len(self.gates)} gates>"

    def _repr_html_(self) -> str:
        return _facts(self).html()


def _facts(network: Network) -> Table:
    package = network.compiled.package
    shape = " x ".join(map(str, network.input_shape))
    rows = [
        ("images", shape),
        ("classes", str(package.meta["output"]["classes"])),
        *network.compiled.on_the_host(),
        ("descriptors", f"{package.n_descriptors:,}"),
        ("weight bytes", f"{len(package.weights):,}"),
        ("gates", str(len(network.gates))),
        *(("warning", text) for text in network.warnings),
    ]
    return Table(title=f"{network.name} for {network.config}", columns=("", ""), rows=rows)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Figures of the cost model, means an image of a running stream.  Nothing was simulated.

    Attributes:
        figures: what `penstock estimate --json` writes; `layers` has one entry a descriptor.
    """

    figures: dict[str, Any]

    @property
    def cycles(self) -> float:
        """Cycles of the core."""
        return float(self.figures["cycles"])

    @property
    def latency_ms(self) -> float:
        """Milliseconds of a run."""
        return float(self.figures["latency_ms"])

    @property
    def fps(self) -> float:
        """Images a second."""
        return float(self.figures["fps"])

    @property
    def macs(self) -> float:
        """Multiply-accumulates executed."""
        return float(self.figures["macs"])

    @property
    def weight_bytes(self) -> float:
        """Bytes of weights fetched."""
        return float(self.figures["weight_bytes"])

    def table(self) -> Table:
        """The totals."""
        figures = self.figures
        clock = f"{figures['clock_mhz']:g} MHz ({figures['clock_source']})"
        rows = [
            ("cycles an image", f"{self.cycles:,.0f}"),
            (f"latency at {clock}", f"{self.latency_ms:.3f} ms"),
            ("images a second", f"{self.fps:,.0f}"),
            ("MACs executed", f"{self.macs:,.0f}"),
            ("MAC utilisation", f"{figures['utilisation']:.3f}"),
            ("weight bytes", f"{self.weight_bytes:,.0f}"),
        ]
        kept = f"channels kept {figures['keep']:g}, blocks skipped {figures['blocks_skipped']:g}"
        title = f"{figures['network']} on {figures['config']} (estimate), {kept}"
        return Table(title=title, columns=("", ""), rows=rows)

    def __str__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()
