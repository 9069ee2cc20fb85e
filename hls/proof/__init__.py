"""Static proof of what an HLS compiler needs of the core's C++, on LLVM's intermediate code.

`python -m penstock.hls.proof` prints what was found.  docs/hls.md says what each check means.
"""

from penstock.program.base.entry import explain_errors

explain_errors()
