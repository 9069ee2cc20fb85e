"""What a kept netlist is kept by."""

from pathlib import Path

import pytest

from penstock.bench.synthesis import yosys


def test_a_netlist_is_of_the_code_and_of_no_comment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "unit.sv"
    monkeypatch.setattr(yosys, "rtl_sources", lambda config: [source])

    def key(text: str) -> str:
        source.write_text(text)
        return yosys.key("tiny")

    first = key("// what it does\nmodule unit;\n  logic a;  // a flag\nendmodule\n")
    assert key("module unit;\n\n  logic a;\n  // more\nendmodule\n") == first
    checked = "module unit;\n  logic a;\n`ifndef SYNTHESIS\n  assert(a);\n`endif\nendmodule\n"
    assert key(checked) == first
    assert key(checked.replace("ifndef", "ifdef")) != first
    assert key("module unit;\n  logic b;\nendmodule\n") != first
    assert key("module unit;\n  // logic a;\nendmodule\n") != first
