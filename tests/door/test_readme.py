"""The first screen of README.md, as it is written there."""

import re
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")


@pytest.mark.slow
def test_snippet_runs(
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from tests.door.test_door import own

    (code,) = re.findall(
        r"^```python\n(.*?)^```$", (repository / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    scope = {"model": own(), "images": torch.randn(12, 3, 9, 7)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # random gates
        exec(compile(code, "README.md", "exec"), scope)
    said = capsys.readouterr().out
    for part in ("rtl", "RMS", "2 gates", "(estimate), channels kept 0.5"):
        assert part in said, said
    assert (tmp_path / "build" / "net" / "program.pspkg").is_file()
