"""The contract between the compiler and every engine: dependency-free, one home.

Hardware configuration, descriptor layout, register map, counters, error codes and the package
file are each defined here once; SystemVerilog (and later C++) are generated from them.
Only the standard library and NumPy are imported, so that the board side can carry this folder.
"""
