"""Hardware configurations of one's own: the YAML file, and the Program that carries them."""

import dataclasses
from pathlib import Path

import pytest

from penstock.program.core.config import CONFIGS, ConfigError, HwConfig
from penstock.program.core.hardware import LIMITS, hardware

#: Every size, none of them that of a configuration of ours.
SLIM = """
name: slim
p_oc: 4
p_px: 8
min_rows: 2
fmem_bytes: 32768
wbuf_bytes: 1152
gate_mem_bytes: 0x2000
score_depth: 256
max_channels: 64
n_lists: 8
pool_depth: 128
max_outstanding: 16
"""


def written(folder: Path, text: str, name: str = "core.yaml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def refused(folder: Path, text: str) -> str:
    """What the file is refused with; its own path is there, once."""
    path = written(folder, text)
    with pytest.raises(ConfigError) as caught:
        hardware(path)
    assert str(caught.value).count(path) == 1
    return str(caught.value)


def test_every_field(tmp_path: Path) -> None:
    config = hardware(written(tmp_path, SLIM))
    assert (config.name, config.p_px, config.gate_mem_bytes, config.macs_per_dsp) == (
        *("slim", 8, 8192, 1),
    )
    assert config.is_own
    assert config.hash not in {known.hash for known in CONFIGS.values()}


def test_what_differs_from_another(tmp_path: Path) -> None:
    path = written(tmp_path, "name: z7010\nbase: z7020\np_oc: 4\nfmem_bytes: 131072\n", "a.yml")
    expected = dataclasses.replace(CONFIGS["z7020"], name="z7010", p_oc=4, fmem_bytes=128 << 10)
    assert hardware(path) == expected


def test_one_of_ours_is_ours(tmp_path: Path) -> None:
    assert not hardware(written(tmp_path, "name: zu5ev\nbase: zu5ev\n")).is_own
    assert hardware("zu5ev") is CONFIGS["zu5ev"]
    assert not any(config.is_own for config in CONFIGS.values())


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "not a mapping of fields to values"),
        ("- p_oc\n", "not a mapping of fields to values"),
        ("name: [\n", "is not YAML: while parsing"),
        ("name: 2026-13-45\n", "is not YAML"),
        (SLIM + "p_oc: 8\n", "p_oc is there twice"),
        ("name: z7020\nbase: z7020\np_oc: 4\n", "name is 'z7020', a configuration with other"),
        ("name: a\nbase: z7021\n", "base is 'z7021', not one of tiny, z7020"),
        ("name: a\nbase: [tiny]\n", "base is ['tiny'], not one of tiny, z7020"),
        ("base: tiny\n", "name is missing"),
        ("name: 7\nbase: tiny\n", "name is 7, not a text"),
        ("name: a/b\nbase: tiny\n", "name = 'a/b': not a letter"),
        ("name: a\nbase: tiny\n1: 2\n", "unknown field 1"),
        ("name: a\nbase: tiny\np_px: true\n", "p_px is True, not a whole number"),
        ("name: a\nbase: tiny\np_px: 8.0\n", "p_px is 8.0, not a whole number"),
        ("name: a\nbase: tiny\nfmem_bytes: 16k\n", "fmem_bytes is '16k', not a whole number"),
        ("name: a\nbase: tiny\np_px: -8\n", "p_px = -8: not a power of two"),
        ("name: a\nbase: tiny\nwbuf_bytes: 100\n", "wbuf_bytes = 100: not a multiple of 8"),
        ("name: a\nbase: tiny\nfmem_bytes: 0\n", "fmem_bytes = 0: not a power of two"),
        ("name: a\nbase: tiny\np_px: 64\n", "p_px = 64: not from 2 to 32"),
        ("name: a\nbase: tiny\nmin_rows: 4\n", "min_rows = 4: more than p_oc = 2"),
        ("name: a\nbase: z7020\np_px: 32\n", "min_rows = 1: p_oc * p_px / min_rows is over 128"),
        ("name: a\nbase: z7020x2\nmin_rows: 1\n", "min_rows = 1: p_oc = 16 makes over 4 shapes"),
        ("name: a\nbase: tiny\nmacs_per_dsp: 2\n", "macs_per_dsp = 2: needs min_rows 2"),
    ],
)
def test_a_file_that_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused(tmp_path, text)


def test_everything_that_is_wrong_in_one_message(tmp_path: Path) -> None:
    missing = SLIM.replace("n_lists: 8\n", "n_list: 8\n").replace("p_oc: 4", "p_oc: four")
    error = refused(tmp_path, missing)
    for part in ("unknown field 'n_list'", "n_lists is missing", "p_oc is 'four'", "fields: base"):
        assert part in error
    sizes = SLIM.replace("p_px: 8", "p_px: 1").replace("n_lists: 8", "n_lists: 3")
    error = refused(tmp_path, sizes)
    for part in ("p_px = 1: not from 2 to 32", "p_px = 1: at least 2", "n_lists = 3: not a power"):
        assert part in error


@pytest.mark.parametrize("name", ["none.yaml", "folder.yaml", "bytes.yaml"])
def test_what_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "bytes.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigError, match=name):
        hardware(str(tmp_path / name))


def test_the_limits_are_of_the_sizes() -> None:
    names = {field.name for field in dataclasses.fields(HwConfig)}
    assert names == {"name", *LIMITS}
