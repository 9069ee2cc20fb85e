"""AddressSanitizer and UndefinedBehaviorSanitizer for the simulations' C++ (tests).

The library is loaded into Python, so the sanitizers' runtime must be in the process before it:
run the interpreter with `environment()`.
"""

import os
import subprocess

#: For g++, compiler and linker.  The first finding ends the process.
FLAGS = (
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)

#: Loaded first; libstdc++ as well, or the sanitizer cannot follow exceptions.
RUNTIME = ("libasan.so", "libubsan.so", "libstdc++.so")


def environment() -> dict[str, str]:
    """The environment for a Python that loads a sanitized library.

    Leaks are not looked for: the interpreter keeps what it has to its end.
    """
    paths = [_output(["g++", f"-print-file-name={name}"]).strip() for name in RUNTIME]
    options = {"LD_PRELOAD": " ".join(paths), "ASAN_OPTIONS": "detect_leaks=0"}
    return {**os.environ, **options, "UBSAN_OPTIONS": "print_stacktrace=1"}


def _output(command: list[str]) -> str:
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", check=True
    ).stdout
