"""`penstock bench logits`: a trained network of the zoo with logits of 8 and of 16 bits.

Golden counts on every image the ties at the top and what is right; the simulated core runs some of
them, byte for byte golden's, for the cycles.  Stored in bench/results/logits.json, of which a table
of docs/results/zoo.md is made.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import rich_click as click

from penstock.bench.figures import RESULTS
from penstock.bench.options import data_option, images_option, store_option
from penstock.compiler.api import compile_onnx
from penstock.engines import Memory, build_engines, mismatches, run_engine
from penstock.model.data.dataset import Dataset
from penstock.model.data.load import load_dataset
from penstock.model.zoo import zoo_card, zoo_names, zoo_onnx
from penstock.program.base.files import write_text
from penstock.program.core.config import get_config
from penstock.progress import step

STORE = RESULTS / "logits.json"
CONFIG = "z7020"
NAME = "resnet20-cifar10"
BITS = (8, 16)


def measure(name: str, bits: int, data: Dataset, count: int, on_core: int) -> dict[str, Any]:
    """The figures of one network over the first `count` test images."""
    compiled = compile_onnx(zoo_onnx(name), get_config(CONFIG), metadata={"logits": str(bits)})
    images = data.normalize(data.test_images[:count]).numpy().astype(np.float32)
    labels = data.test_labels[:count].numpy()
    with step(f"{bits} bits, golden, {count} images") as progress:
        whole = run_engine("golden", compiled, images, Memory(), progress)
    some = images[:on_core]
    with step(f"{bits} bits, golden, the first {on_core}") as progress:
        reference = run_engine("golden", compiled, some, Memory(), progress)
    build_engines(("rtl",), compiled, Memory(), step)
    with step(f"{bits} bits, rtl, the first {on_core}") as progress:
        core = run_engine("rtl", compiled, some, Memory(), progress)
    top = np.sort(whole.logits, axis=1)
    predicted = compiled.predict(core.scores, core.exits)
    return {
        "bits": bits,
        "scale": compiled.package.meta["output"]["scale"],
        "ties": int((top[:, -1] == top[:, -2]).sum()),
        "correct": int((whole.labels == labels).sum()),
        "cycles": core.mean("cycles"),
        "predicted": float(np.mean(predicted.cycles)),
        "mismatches": mismatches(reference, core),
    }


@click.command()
@click.argument("name", default=NAME, metavar="[NAME]", type=click.Choice(zoo_names()))
@data_option
@images_option(4)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Test images in golden.",
)
@store_option(STORE)
def main(name: str, data_dir: Path | None, images: int, count: int, store: Path) -> int:
    """Compare logits of 8 and of 16 bits of one of the zoo's networks.

    Exit code 1 if a byte differs from golden's.
    """
    data = load_dataset(zoo_card(name)["dataset"], data_dir)
    rows = [measure(name, bits, data, count, images) for bits in BITS]
    result = {"name": name, "config": CONFIG, "images": count, "on_core": images, "rows": rows}
    write_text(store, json.dumps(result, indent=2) + "\n")
    for row in rows:
        print(f"{row['bits']} bits: {row['ties']} ties, {row['correct']} of {count} right")
    return int(any(row["mismatches"] for row in rows))
