"""The demo's report: which figures it has, and the lines of its table."""

from typing import Any

#: Whose clock gives the milliseconds.
BOARD = "pynq-z2"

KEYS: dict[str, tuple[str, ...]] = {
    "network": (),
    "dataset": (),
    "images": (),
    "accuracy": ("float", "qat", "integer"),
    "engines": ("golden", "csim", "rtl"),
    "macs": ("dense", "executed", "gates"),
    "cycles": ("dense", "dynamic", "predicted_dense", "predicted_dynamic"),
    "weight_bytes": ("dense", "fetched", "survivors"),
    "utilisation": (),
    "realisation_ratio": (),
    "fetch_ratio": (),
    "seconds": (),
}


def rows(report: dict[str, Any], clock_mhz: float) -> list[tuple[str, str, str]]:
    """(figure, value, where it comes from) of every line of the results table.

    `clock_mhz`: of the board whose milliseconds are printed, itself an estimate (docs/timing.md).
    """
    accuracy, macs = report["accuracy"], report["macs"]
    cycles, weights = report["cycles"], report["weight_bytes"]
    engines = report["engines"]
    saved = macs["executed"] / macs["dense"]
    return [
        ("network, data", f"{report['network']}, {report['dataset']}", ""),
        ("accuracy, float", f"{accuracy['float']:.2%}", "PyTorch"),
        ("accuracy, quantisation-aware", f"{accuracy['qat']:.2%}", "PyTorch"),
        ("accuracy, integer", f"{accuracy['integer']:.2%}", "rtl-sim"),
        ("images compared", f"{engines['rtl']['images']}", "rtl-sim against golden"),
        ("bytes that differ", f"{engines['rtl']['mismatches']}", "rtl-sim against golden"),
        *_csim_rows(engines),
        ("MACs an image, dense", f"{macs['dense']:,.0f}", "network"),
        ("MACs an image, executed", f"{macs['executed']:,.0f} ({saved:.1%})", "gate scores"),
        ("MACs an image, gates themselves", f"{macs['gates']:,.0f}", "network"),
        ("cycles an image, every gate open", f"{cycles['dense']:,.0f}", "rtl-sim"),
        (
            "cycles an image, gates decide",
            f"{cycles['dynamic']:,.0f} ({cycles['dense'] / cycles['dynamic']:.2f} x faster)",
            "rtl-sim",
        ),
        (
            "cycles an image, predicted",
            f"{cycles['predicted_dense']:,.0f} / {cycles['predicted_dynamic']:,.0f}",
            "estimate",
        ),
        (
            f"ms an image at {clock_mhz:g} MHz, every gate open / gates decide",
            " / ".join(f"{cycles[key] / clock_mhz / 1e3:.3f}" for key in ("dense", "dynamic")),
            "estimate",
        ),
        (
            "weight bytes an image",
            f"{weights['dense']:,.0f} -> {weights['fetched']:,.0f}",
            "rtl-sim",
        ),
        ("MAC utilisation, every gate open", f"{report['utilisation']:.3f}", "rtl-sim"),
        ("realisation ratio", f"{report['realisation_ratio']:.3f}", "rtl-sim"),
        ("fetch ratio", f"{report['fetch_ratio']:.3f}", "rtl-sim"),
    ]


def _csim_rows(engines: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What the C simulation of the HLS core adds; reports of earlier releases have none."""
    if "csim" not in engines:
        return []
    figure = f"{engines['csim']['mismatches']}"
    return [("bytes that differ, HLS core", figure, "csim against golden")]
