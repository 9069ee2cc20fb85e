"""What the static proof of the HLS core needs: without it these tests are skipped."""

import importlib.util

import pytest

MISSING = [n for n in ("llvmlite", "ziglang", "networkx") if importlib.util.find_spec(n) is None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with what to install."""
    if MISSING:
        reason = f"no {' and no '.join(MISSING)}: pip install 'penstock[hls-proof]'"
        for item in items:
            if "tests/hls/proof" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason=reason))
