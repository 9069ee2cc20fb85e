"""`penstock deploy`: everything a board needs, in one folder or .zip."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rich_click as click

from penstock.cli.bundle import Contents, read_bitstream, write_bundle
from penstock.cli.compiled import load_network, read_images
from penstock.cli.errors import InputError, load
from penstock.cli.files import force_option, read_labels
from penstock.cli.output import note, warn
from penstock.host.vectors import Vectors
from penstock.program.base.files import write_file
from penstock.program.base.folder import check_folder, write_folder
from penstock.program.core.counters import COUNTER_BYTES
from penstock.progress import step

#: By which a folder is known as the output of this command.
COMMAND = "deploy"


@click.command(
    epilog="""Examples:\n
    penstock deploy build/demo/net --board pynq-z2 -o build/deploy\n
    penstock deploy build/net --board kv260 --images x.npy --labels y.npy -o deploy.zip\n
    penstock deploy build/net --board zcu104 --bit build/bitstream/penstock.bit -o build/deploy
    """
)
@click.argument("network", type=click.Path(path_type=Path))
@click.option("--board", "board_name", required=True, metavar="NAME", help="See docs/boards.md.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder to write, or a file that ends in .zip.",
)
@click.option(
    "--images",
    "images_path",
    type=click.Path(path_type=Path),
    metavar="X.NPY",
    help="Test images, float32, N x C x H x W (default: images.npy beside NETWORK, else random).",
)
@click.option(
    "--labels",
    "labels_path",
    type=click.Path(path_type=Path),
    metavar="Y.NPY",
    help="Their classes (default: labels.npy beside NETWORK, else what the network says).",
)
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@click.option(
    "--bit",
    type=click.Path(path_type=Path),
    metavar="F.BIT",
    help="A bitstream to include, its .hwh beside it.",
)
@force_option
def deploy(
    network: Path,
    board_name: str,
    output: Path,
    images_path: Path | None,
    labels_path: Path | None,
    limit: int,
    bit: Path | None,
    force: bool,
) -> None:
    """Put NETWORK, driver, notebook and test images with expected results into one folder.

    Copy it to the board, put penstock.bit and penstock.hwh into its bitstream/ folder, and run
    `python -m penstock.host.selftest` there. The expected results are the golden engine's.
    """
    board = load("penstock.boards.board").load_board(board_name)
    zipped = output.suffix == ".zip"
    if not zipped:
        check_folder(output, COMMAND, force=force)
    loaded = load_network(network)
    package = loaded.compiled.package
    board.require(package.config)
    beside = network if network.is_dir() else network.parent
    images_path, labels_path = _defaults(beside.parent, images_path, labels_path)
    vectors = _vectors(loaded, images_path, labels_path, limit)
    contents = Contents(
        board=board,
        package=package,
        vectors=vectors,
        bitstream=read_bitstream(bit) if bit else None,
    )
    if zipped:
        _write_zip(output, contents)
    else:
        write_folder(output, lambda folder: write_bundle(folder, contents), COMMAND, force=force)
    note(f"wrote {output}: {contents.package.meta['network']} for {board.title}")


def _defaults(
    folder: Path, images: Path | None, labels: Path | None
) -> tuple[Path | None, Path | None]:
    """images.npy and labels.npy as `penstock demo` leaves them, where nothing is given."""
    if images is None and (folder / "images.npy").is_file():
        images = folder / "images.npy"
        if labels is None and (folder / "labels.npy").is_file():
            labels = folder / "labels.npy"
    return images, labels


def _vectors(network: Any, images: Path | None, labels: Path | None, limit: int) -> Vectors:
    """Test images with the golden engine's results."""
    compiled = network.compiled
    shape = compiled.input_shape
    if images is None:
        if labels is not None:
            raise InputError("--labels without --images")
        array = _random_images(compiled, (limit, *shape))
    else:
        array, warnings = read_images(network, images, limit)
        warn(warnings)
        if array.dtype != np.float32 and compiled.head is None:  # the file holds real values
            array = (array * np.float32(compiled.package.meta["input"]["scale"])).astype(np.float32)
    with step(f"golden, {len(array)} images"):
        inputs = compiled.quantize_input(array)
        package = compiled.package
        records = load("penstock.sim.golden").run(package, inputs)
    said = compiled.decode_output(records, len(array)).label
    known = said if labels is None else read_labels(labels, len(array))
    return Vectors(images=array, labels=known, results=records[:, COUNTER_BYTES:].copy())


def _random_images(compiled: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Real values over the range of the core's quantiser, or codes where the file takes these."""
    random = np.random.default_rng(0)
    if not compiled.takes_real:
        info = np.iinfo(compiled.codes)
        return random.integers(info.min, info.max + 1, shape, dtype=compiled.codes)
    scale = compiled.package.meta["input"]["scale"]
    return (random.uniform(-128, 128, shape) * scale).astype(np.float32)


def _write_zip(path: Path, contents: Contents) -> None:
    with tempfile.TemporaryDirectory() as holder:
        folder = Path(holder) / path.stem
        folder.mkdir()
        write_bundle(folder, contents)
        made = Path(shutil.make_archive(str(Path(holder) / "made"), "zip", holder, path.stem))
        write_file(path, lambda file: file.write(made.read_bytes()))
