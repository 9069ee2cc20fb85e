"""docs/own_network.md and its notebook, as they are written there: one's own network and images."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("PIL")

LINES = 60  # of the whole script: images, network, training, compilation, comparison


@pytest.fixture
def files(repository: Path) -> dict[str, str]:
    """The document's files by name."""
    text = (repository / "docs" / "own_network.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n# (\S+\.py)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return dict(blocks)


@pytest.mark.slow
def test_document(files: dict[str, str], tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert list(files) == ["images.py", "mynet.py", "run.py"]
    assert sum(len(text.splitlines()) for text in files.values()) <= LINES
    said = ""
    for name in ("images.py", "run.py"):
        done = subprocess.run(
            [sys.executable, name], cwd=tmp_path, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, done.stderr
        said += done.stdout
    check(said, tmp_path)


def check(said: str, folder: Path) -> None:
    """What the script printed and wrote: engines agree, gates skip, the network has learned."""
    assert re.search(r"^ +rtl +0$", said, re.MULTILINE)
    assert "output channels of 3.conv1; input channels of 3.conv2" in said
    accuracy = re.search(r"'qat_accuracy': ([\d.]+)", said)
    assert accuracy is not None and float(accuracy[1]) > 0.95
    macs = re.search(r"^([\d,]+) of ([\d,]+) MACs an image$", said, re.MULTILINE)
    assert macs is not None
    executed, dense = (int(number.replace(",", "")) for number in macs.groups())
    assert executed < 0.7 * dense
    assert (folder / "mine").is_dir()


#: What Jupyter does with a notebook's cells, of whose own words this one has %%writefile alone.  A
#: kernel and its client are 31 packages more (nbclient, ipykernel); tests/host/ has them.
RUNNER = """
import json, pathlib, sys
scope = {"__name__": "__main__"}
for number, cell in enumerate(json.loads(pathlib.Path(sys.argv[1]).read_text())["cells"]):
    if cell["cell_type"] == "code":
        first, _, rest = "".join(cell["source"]).partition("\\n")
        if first.startswith("%%writefile "):
            pathlib.Path(first.split()[1]).write_text(rest)
        else:
            exec(compile(first + "\\n" + rest, f"cell {number}", "exec"), scope)
"""


@pytest.mark.long
def test_notebook(repository: Path, tmp_path: Path) -> None:
    """Executed cell by cell in one process and one namespace."""
    notebook = repository / "docs" / "own_network.ipynb"
    command = [sys.executable, "-c", RUNNER, str(notebook)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    check(done.stdout, tmp_path)


def test_notebook_is_the_document(files: dict[str, str], repository: Path) -> None:
    """Its cells are the files, in their order; the network's is written to its file."""
    notebook = json.loads((repository / "docs" / "own_network.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert cells == [
        files["images.py"].rstrip(),
        f"%%writefile mynet.py\n{files['mynet.py']}".rstrip(),
        files["run.py"].rstrip(),
    ]
    assert all(not cell.get("outputs") for cell in notebook["cells"])
