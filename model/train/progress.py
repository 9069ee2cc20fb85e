"""What a training run leaves while it runs: a progress bar, a log, and a state to resume from."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from penstock.model.errors import CheckpointError
from penstock.model.files.atomic import write_atomically
from penstock.model.files.checked import as_checkpoint_error, entry, read_torch

RESUME_HINT = "train without --resume to start again"

# Settings that change nothing in the numbers: a run may go on with others.
FREE_SETTINGS = frozenset({"resume", "quiet", "out", "data_dir", "eval_every"})


@contextmanager
def epoch_bar(label: str, epochs: int, done: int, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar over `epochs`; call what it yields once an epoch."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    hidden = quiet or not sys.stdout.isatty()
    with Progress(*columns, TimeElapsedColumn(), disable=hidden) as progress:
        task = progress.add_task(label, total=epochs, completed=done)
        yield lambda: progress.advance(task)


def _summary_writer() -> Any:
    """TensorBoard's writer; None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter


class RunLog:
    """`OUT.jsonl`, a line an epoch, and `OUT.resume`, beside the checkpoint `out`.

    Where TensorBoard is installed, the same figures are in `OUT.tensorboard/` too.
    """

    def __init__(self, out: Path, settings: dict[str, object], resume: bool) -> None:
        if out.suffix in (".jsonl", ".resume", ".tensorboard"):
            raise CheckpointError(
                f"{out}: the log and the state of a run have this suffix", "choose another -o"
            )
        self.lines = out.with_suffix(".jsonl")
        self.resume_path = out.with_suffix(".resume")
        self.settings = {k: v for k, v in settings.items() if k not in FREE_SETTINGS}
        self.kept: dict[str, Any] = {}  # what earlier phases leave for the end, see `keep`
        self.state: dict[str, Any] | None = self._read() if resume else None
        self.board: Any = None  # opened by the first line, if TensorBoard is installed
        if self.state is not None:
            self.kept = self.state["kept"]
        else:
            self._check_lines()
            self.lines.unlink(missing_ok=True)

    def keep(self, name: str, value: object) -> None:
        """Carry a result of this phase (figures, a state) over an interruption in the next."""
        self.kept[name] = value

    def epoch(self, phase: str, epoch: int, figures: dict[str, float], state: object) -> None:
        """Append a line and replace the resume state."""
        self.write([{"phase": phase, "epoch": epoch, **figures}], state)

    def write(self, lines: Sequence[Mapping[str, object]], state: object) -> None:
        """Append lines and replace the resume state."""
        content = {"settings": self.settings, "kept": self.kept, "trainer": state}
        write_atomically(self.resume_path, lambda file: torch.save(content, file))
        with self.lines.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        for line in lines:
            self._draw(line)

    def restart(self, lines: Sequence[Mapping[str, object]]) -> None:
        """Replace all lines: an interruption may have come between the state and them."""
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write_atomically(self.lines, lambda file: file.write(text.encode()))

    def _draw(self, line: Mapping[str, object]) -> None:
        """The figures of an epoch in `OUT.tensorboard/`, if TensorBoard is installed.

        A run that starts or goes on hides what an earlier one left there from its epoch on.
        """
        phase, epoch = line.get("phase"), line.get("epoch")
        if not isinstance(phase, str) or not isinstance(epoch, int):
            return
        if self.board is None and (writer := _summary_writer()) is not None:
            self.board = writer(str(self.lines.with_suffix(".tensorboard")), purge_step=epoch)
        if self.board is None:
            return
        for name, value in line.items():
            if isinstance(value, (int, float)) and name != "epoch":
                self.board.add_scalar(f"{phase}/{name}", value, epoch)
        self.board.flush()

    def finish(self) -> None:
        """The run is complete: nothing to resume."""
        if self.board is not None:
            self.board.close()
        self.resume_path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any] | None:
        """The state to go on from; None: there is none, the run starts at the beginning."""
        if not self.resume_path.is_file():
            return None
        content = read_torch(self.resume_path, RESUME_HINT)
        with self.resuming():
            before = entry(content, "settings", dict)
            entry(content, "kept", dict)
            entry(content, "trainer", dict)
        # A setting that came after the run was left is None there and, untouched, here.
        now = self.settings
        changed = [key for key in {**now, **before} if before.get(key) != now.get(key)]
        if changed:
            raise CheckpointError(
                f"{self.resume_path}: left by a run with other settings: "
                f"{', '.join(map(str, changed))}",
                RESUME_HINT,
            )
        return content

    def resuming(self) -> AbstractContextManager[None]:
        """Around what takes the state of the file: a damaged one is a CheckpointError."""
        return as_checkpoint_error(self.resume_path, "the state in it", RESUME_HINT)

    def _check_lines(self) -> None:
        """CheckpointError rather than delete a file of that name which is no log of ours."""
        if not os.path.lexists(self.lines):
            return
        try:
            with self.lines.open(encoding="utf-8") as file:
                first = file.readline(1 << 16)
            ours = not first or bool({"phase", "split"} & set(json.loads(first)))
        except (OSError, ValueError, TypeError):
            ours = False
        if not ours:
            raise CheckpointError(
                f"{self.lines} is where the log goes, and is not a log of training",
                "move it away or choose another -o",
            )
