"""Where the engines were: scripts that import them here go on; they are `penstock.engines` now."""

from penstock.engines import Memory, Run, build_engines, run_engine

__all__ = ["Memory", "Run", "build_engines", "run_engine"]
