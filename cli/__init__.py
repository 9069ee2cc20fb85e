"""The command line: one command a file; `main` is the entry point.

Commands only read arguments, call the packages and format what they return.  Heavy packages are
imported inside the command that needs them, so `penstock --help` answers at once.
"""

from penstock.program.base.entry import explain_errors

explain_errors()
