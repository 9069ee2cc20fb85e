"""The tables of docs/results.md: of everything that is stored, what a reader asks first."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.bench.figures import ROOT
from penstock.bench.peers import tables as peers
from penstock.bench.peers.published import PUBLISHED
from penstock.bench.rows.bars import BARS
from penstock.bench.rows.table import stored as stored_rows
from penstock.bench.tables import demo, exits, families, mlperf, resources, zoo
from penstock.bench.tables.documents import markdown
from penstock.bench.timing import stored as timing
from penstock.boards.board import load_board

DOCUMENTS = (ROOT / "docs" / "results.md",)
BOARD = "pynq-z2"
#: Rows of forced masks that are shown: network, core.
FORCED = (("resnet20", "z7020"), ("resnet20", "z7020x2"), ("resnet18", "zu5ev"))
KEEPS = (0.5, 0.3)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def gains() -> Iterator[list[str]]:
    """What gates make of the MACs that they leave out: trained networks, then forced masks."""
    report = _read(demo.STORE)
    yield _gain("ResNet-8, trained on digits, LC-Net gates", "z7020", report, report["accuracy"])
    for result in zoo.stored():
        if "activity" in result:
            figures = result["schedules"]["sequential"]
            title = "ResNet-20, trained on CIFAR-10, LC-Net gates"
            yield _gain(title, result["config"], figures, result["card"]["accuracy"])
        elif "images_by_exit" in result:
            figures = result["schedules"]["sequential"]
            accuracy = {"integer": zoo.integer_accuracy(result["card"])}
            title = "ResNet-20, trained on CIFAR-10, S2DNAS exits"
            yield _gain(title, result["config"], figures, accuracy)
    rows = stored_rows()
    for network, config in FORCED:
        kept = {r["keep"]: r for r in rows if _plain(r, network, config)}
        for keep in KEEPS:
            row = kept[keep]
            figures = {
                "macs": {"dense": row["macs_dense"], "executed": row["macs_executed"]},
                "cycles": {"dense": kept[1.0]["cycles"], "dynamic": row["cycles"]},
                "realisation_ratio": row["realisation_ratio"],
            }
            title = f"ResNet-{network[6:]}, masks at random, {keep:.0%} of the channels"
            yield _gain(title, config, figures, {})


def _plain(row: dict[str, Any], network: str, config: str) -> bool:
    case = (row["network"], row["config"], row["schedule"], row["split"], row["blocks_skipped"])
    return case == (network, config, "sequential", True, 0.0)


def _gain(title: str, config: str, figures: Any, accuracy: dict[str, float]) -> list[str]:
    macs, cycles = figures["macs"], figures["cycles"]
    return [
        title,
        config,
        f"{accuracy['integer']:.2%}" if accuracy else "",
        f"{macs['executed'] / macs['dense']:.1%}",
        f"{cycles['dense']:,.0f}",
        f"{cycles['dynamic']:,.0f}",
        f"{cycles['dense'] / cycles['dynamic']:.2f} x",
        f"{figures['realisation_ratio']:.3f}",
    ]


def beside() -> Iterator[list[str]]:
    """Realisation as others publish it, ours on the same footing first."""
    own = [row for row in stored_rows() if _plain(row, *FORCED[0])]
    for row in own:
        if row["keep"] in KEEPS:
            share = f"ResNet-20, {row['keep']:.0%} of the channels"
            ratio = f"{row['realisation_ratio']:.2f}"
            yield [f"Penstock, {share} (*rtl-sim*)", "[masks](results/masks.md)", ratio]
    for entry in PUBLISHED:
        if entry.realisation is not None:
            yield [f"{entry.system} (*published*)", entry.source, f"{entry.realisation:.2f}"]


def array() -> str:
    """Dense ResNet-20 on two generators of hardware; every cycle counted here."""
    nngen = [r for r in _read(peers.STORE)["nngen"] if r["network"] == "resnet20"]
    own = [r for r in peers.own_rows(stored_rows()) if r["keep"] == 1.0]
    return peers.measured_table(own, nngen)


def rates() -> Iterator[list[str]]:
    """MLPerf Tiny on the board's clock, beside the fastest that is published of the network."""
    found = _read(mlperf.STORE)
    clock = load_board(BOARD).clock("rtl", found["config"])
    for task, title in mlperf.TASKS.items():
        result = found["networks"][f"{task}_int8"]
        best = max(
            ((float(rate.replace(",", "")), who) for of, who, rate in mlperf.PUBLISHED
             if of == task and "another network" not in who), default=None,
        )  # fmt: skip
        yield [
            title,
            f"{result['cycles']:,.0f}",
            f"{result['cycles'] / clock / 1e3:.3f}",
            f"{clock * 1e6 / result['cycles']:,.0f}",
            f"{best[0]:,.10g}: {best[1].partition(', round')[0]}" if best else "",
        ]


def cores() -> Iterator[list[str]]:
    """What a core takes of the board's FPGA, and how fast it may be clocked."""
    board, timed = load_board(BOARD), timing.load()
    for config, used in _read(resources.STORE).items():
        shares = [f"{used[k]:,.10g} ({used[k] / board.resources[k]:.0%})" for k in resources.BARS]
        fmax = timing.fmax(timed, config, board)
        yield [config, *shares, f"{fmax:.0f} MHz", f"{board.clock('rtl', config):g} MHz"]


def checked() -> Iterator[list[str]]:
    """How much was compared byte for byte, and what differed."""
    engines = _read(demo.STORE)["engines"]
    runs = [result["schedules"].values() for result in zoo.stored()]
    differ = sum(s["mismatches"] for schedules in runs for s in schedules)
    differ += sum(result["dense_mismatches"] for result in zoo.stored())
    images = sum(result["images"] for result in zoo.stored())
    yield _checked("the demo", 1, engines["rtl"]["images"], engines["rtl"]["mismatches"])
    yield _checked("the zoo, CIFAR-10", len(runs), images, differ)
    for title, found in (
        ("families of gates", list(_read(families.STORE).values())),
        ("early exits", [_read(path) for path in sorted(exits.STORE.glob("*.json"))]),
        ("MLPerf Tiny", list(_read(mlperf.STORE)["networks"].values())),
    ):
        differ = sum(sum(result["mismatches"].values()) for result in found)
        yield _checked(title, len(found), sum(result["images"] for result in found), differ)
    rows = stored_rows()
    differ = sum(row["mismatches"] for row in rows)
    networks = len({row["network"] for row in rows})
    yield [f"masks at random: {len(rows)} rows of 3 to 100 images", str(networks), "", str(differ)]


def _checked(title: str, networks: int, images: int, differ: int) -> list[str]:
    return [title, f"{networks}", f"{images:,}", f"{differ}"]


def missed() -> Iterator[list[str]]:
    """The bars of the project that the stored rows do not reach."""
    rows = stored_rows()
    for bar in BARS:
        worst = bar.worst(rows)
        if worst is not None and not bar.is_met(worst):
            yield [bar.figure, f"{'<=' if bar.at_most else '>='} {bar.limit:g}", f"{worst:.3f}"]


def tables() -> dict[str, str]:
    """The tables by the names of their markers."""
    head = ["network", "core", "accuracy, integer", "MACs left", "cycles, all open", "gated"]
    rate = ["network, int8", "cycles an image", "ms (*estimate*)", "images a second (*estimate*)"]
    core = ["core", "LUT", "DSP", "RAMB36", "fmax", "clock"]
    return {
        "gains": markdown([*head, "faster", "realisation"], gains(), words=2),
        "beside": markdown(["system", "source", "realisation"], beside(), words=2),
        "array": array(),
        "rates": markdown([*rate, "fastest published, images a second"], rates()),
        "cores": markdown(core, cores()),
        "checked": markdown(["what", "networks", "images", "bytes that differ"], checked()),
        "missed": markdown(["figure", "bar", "measured"], missed()),
    }
