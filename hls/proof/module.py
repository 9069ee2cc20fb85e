"""C++ to LLVM's intermediate code: `zig c++` (PyPI: ziglang) makes it, LLVM's passes (PyPI:
llvmlite) turn it into what a scheduler sees.

Two views.  As written: each function by itself, nothing inlined or unrolled.  Synthesised: all of
the top function in one, with the loops unrolled that say so and every scalar a value.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from penstock.hls.proof.translate import texts, write_unit
from penstock.hls.sources import CXX_STANDARD, TOP, HlsError
from penstock.program.base.optional import locate, require
from penstock.program.base.toollog import first_error
from penstock.program.core.config import HwConfig

#: What makes values of variables without moving anything out of a loop.
_VALUES = ("sroa", "simplify_cfg", "instruction_combine")
_CLEAN = (*_VALUES, "new_gvn", "simplify_cfg", "instruction_combine", "sroa", "aggressive_dce")
_UNROLL = ("loop_simplify", "lcssa", "loop_unroll")
#: Loops in loops in loops are unrolled: an inner one whose bound is a count of the outer one.
_ROUNDS = 3

_FLAGS = ("-O1", "-Xclang", "-disable-llvm-passes", "-fno-discard-value-names", "-g0")


def bitcode(config: HwConfig, files: dict[str, str] | None = None) -> bytes:
    """The core in one translation unit, as clang's front end leaves it.

    Args:
        config: whose `ps_config.h`.
        files: other sources than the core's, file name -> text (mutants).

    Raises:
        MissingPackageError: ziglang is not installed.
        HlsError: the sources do not compile.
    """
    locate("ziglang")
    with tempfile.TemporaryDirectory() as work:
        unit = write_unit(Path(work), config, texts() if files is None else files)
        out = Path(work) / "unit.bc"
        command = [sys.executable, "-m", "ziglang", "c++", f"-std={CXX_STANDARD}", *_FLAGS, "-w"]
        command += ["-fno-sanitize=all", "-emit-llvm", "-c", str(unit), "-o", str(out)]
        cache = {"ZIG_GLOBAL_CACHE_DIR": work, "ZIG_LOCAL_CACHE_DIR": work}
        done = subprocess.run(
            command,
            cwd=work,
            env=os.environ | cache,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        if done.returncode:
            raise HlsError(f"clang could not compile the core: {first_error(done.stderr)}")
        return out.read_bytes()


def as_written(code: bytes) -> Any:
    """The module with every function by itself (llvmlite's ModuleRef)."""
    llvm, module = _parsed(code)
    _run(llvm, module, ("always_inliner", *_VALUES, "loop_simplify", "lcssa", "instruction_namer"))
    return module


def synthesised(code: bytes) -> Any:
    """The module with everything in the top function (llvmlite's ModuleRef)."""
    llvm, module = _parsed(code)
    for function in module.functions:
        if not function.is_declaration and f"{len(TOP)}{TOP}" not in function.name[:12]:
            function.linkage = "internal"
            function.add_function_attribute("alwaysinline")
    _run(llvm, module, ("always_inliner", "global_dead_code_eliminate", "sroa"))
    # Nothing is combined before the arrays of unrolled loops are values: a choice between two
    # elements would become a choice between two addresses.
    for _ in range(_ROUNDS):
        _run(llvm, module, (*_UNROLL, "sroa", "simplify_cfg"))
    _run(llvm, module, _CLEAN)
    _run(llvm, module, ("loop_simplify", "lcssa", "instruction_namer"))
    return module


def _parsed(code: bytes) -> tuple[Any, Any]:
    llvm = require("llvmlite.binding")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm, llvm.parse_bitcode(code)


def _run(llvm: Any, module: Any, passes: tuple[str, ...]) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    machine = llvm.Target.from_default_triple().create_target_machine()
    builder = llvm.create_pass_builder(machine, options)
    manager = llvm.create_new_module_pass_manager()
    for name in passes:
        getattr(manager, f"add_{name}_pass")()
    manager.run(module, builder)
