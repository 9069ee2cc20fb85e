"""A hardware configuration of the user's own, through every command that names one."""

import json
from pathlib import Path

import pytest

from penstock.program.core.config import CONFIGS, HwConfig
from penstock.program.core.hardware import hardware
from penstock.program.generate.cplusplus import config_header
from penstock.program.network.package import Package, PackageError
from penstock.sim.sources import RTL, rtl_sources
from tests.cli.conftest import Runner, Workspace
from tests.program.test_hardware import SLIM

#: Two products a multiplier, eight rows of one shape more than `tiny` has.
PAIRED = "name: paired\nbase: tiny\np_oc: 8\np_px: 8\nmin_rows: 2\nmacs_per_dsp: 2\n"


@pytest.fixture
def core(tmp_path: Path) -> Path:
    (tmp_path / "core.yaml").write_text(SLIM)
    return tmp_path / "core.yaml"


def compiled(penstock: Runner, workspace: Workspace, core: Path) -> Path:
    out = core.parent / "net"
    result = penstock("compile", workspace.onnx, "--config", core, "-o", out, "--json", "-")
    assert result.code == 0, result.err
    config = hardware(str(core))
    figures = json.loads(result.out)
    assert (figures["config"], figures["config_hash"]) == (config.name, f"{config.hash:#010x}")
    return out


def test_the_program_carries_it(penstock: Runner, workspace: Workspace, core: Path) -> None:
    out = compiled(penstock, workspace, core)
    config = hardware(str(core))
    core.unlink()  # nothing but the program is needed any more
    package = Package.load(next(out.glob("*.pspkg")))
    assert package.config == config
    assert penstock("estimate", out).code == 0
    assert "slim" in penstock("disasm", out).out
    simulated = penstock("simulate", out, "--engine", "golden", "--images", workspace.images)
    assert simulated.code == 0, simulated.err


def test_the_estimate_of_a_file(penstock: Runner, workspace: Workspace, core: Path) -> None:
    slim, tiny = (
        json.loads(penstock("estimate", workspace.onnx, "--config", name, "--json", "-").out)
        for name in (core, "tiny")
    )
    assert slim["config"] == "slim"
    assert slim["cycles"] < tiny["cycles"]  # 32 products a cycle, not 8


def test_the_one_it_was_compiled_for(penstock: Runner, workspace: Workspace, core: Path) -> None:
    out = compiled(penstock, workspace, core)
    other = core.with_name("other.yaml")
    other.write_text(SLIM.replace("n_lists: 8", "n_lists: 4"))
    images = ("--engine", "golden", "--images", workspace.images)
    assert penstock("simulate", out, *images, "--config", core).code == 0
    hint = "compile the network again with --config the file of 'slim'"
    assert hint in penstock("simulate", out, *images, "--config", other).error
    assert hint in penstock("estimate", out, "--config", other).error
    assert hint in penstock("hls", out, "--config", other, "-o", core.parent / "hls").error


def test_commands_refuse_a_bad_file(penstock: Runner, workspace: Workspace, core: Path) -> None:
    core.write_text(SLIM.replace("p_px: 8", "p_px: 1"))
    out = core.parent / "out"
    for command in (
        ("compile", workspace.onnx, "-o", out),
        ("estimate", workspace.onnx),
        ("estimate", workspace.compiled),
        ("simulate", workspace.compiled, "--images", workspace.images),
        ("hls", workspace.compiled, "-o", out),
        ("timing",),
        ("demo", "-o", out),
    ):
        error = penstock(*command, "--config", core).error
        assert f"p_px = 1: at least 2, at {core}; docs/program.md" in error
        assert not out.exists()
    core.write_text(SLIM)
    assert "--vivado REPORT" in penstock("timing", "--config", core).error


def test_package_and_header_are_made_of_it(core: Path) -> None:
    config = hardware(str(core))
    sizes = rtl_sources(config)[1].read_text()
    assert "P_PX = 8;" in sizes and f"32'h{config.hash:08X};" in sizes
    header = config_header(config)
    assert "P_PX = 8;" in header and f"0x{config.hash:08X}u;" in header
    assert (
        rtl_sources("tiny")[1] == rtl_sources(CONFIGS["tiny"])[1] == RTL / "config/ps_cfg_tiny.sv"
    )


def test_a_core_that_does_not_fit(penstock: Runner, workspace: Workspace, core: Path) -> None:
    core.write_text("name: large\nbase: zcu104\nn_lists: 8\n")
    error = penstock("hls", compiled(penstock, workspace, core), "-o", core.parent / "hls").error
    assert "the HLS core of large takes about" in error


@pytest.mark.long
def test_its_project_for_vitis(penstock: Runner, workspace: Workspace, core: Path) -> None:
    """The core of a configuration that no board names, generated, counted and simulated."""
    net, out = compiled(penstock, workspace, core), core.parent / "hls"
    result = penstock("hls", net, "--config", core, "-o", out, "--json", "-")
    assert result.code == 0, result.err
    figures = json.loads(result.out)
    assert (figures["config"], figures["csim"]["mismatches"]) == ("slim", 0)
    assert f"0x{hardware(str(core)).hash:08X}u" in (out / "src" / "ps_config.h").read_text()


@pytest.mark.long
@pytest.mark.parametrize("text", [SLIM, PAIRED])
def test_the_engines_agree(penstock: Runner, workspace: Workspace, core: Path, text: str) -> None:
    """golden == csim == rtl on a core that nobody wrote by hand, also with stalls."""
    core.write_text(text)
    out = compiled(penstock, workspace, core)
    run = ("simulate", out, "--engine", "golden,csim,rtl", "--images", workspace.images)
    result = penstock(*run, "--stall", 0.3, "--seed", 5, "--assertions", "--json", "-")
    assert result.code == 0, result.err


def test_a_program_with_other_sizes_than_its_hash(workspace: Workspace, core: Path) -> None:
    """Metadata that was changed, or is none of ours: refused, not run on another core."""
    config = hardware(str(core))
    package = Package(
        config_hash=config.hash, descriptors=b"", weights=b"", meta={"hardware": config.fields()}
    )
    assert package.config == config
    for wrong in (
        config.fields() | {"n_lists": 4},
        config.fields() | {"p_px": "8"},
        config.fields() | {"p_px": 3},
        config.fields() | {"more": 3},
        {"name": "slim"},
        [1],
        None,
        7,
    ):
        changed = Package(
            config_hash=config.hash, descriptors=b"", weights=b"", meta={"hardware": wrong}
        )
        with pytest.raises(PackageError, match="unknown here"):
            _ = changed.config


def test_from_python(core: Path) -> None:
    import penstock
    from penstock.target import resolve_target

    assert resolve_target(core) == resolve_target(str(core)) == (hardware(str(core)), None)
    with pytest.raises(penstock.PenstockError, match="pynq-z9"):
        resolve_target("pynq-z9")
    assert isinstance(resolve_target("tiny")[0], HwConfig)
