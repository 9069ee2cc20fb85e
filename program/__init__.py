"""The contract between the compiler and every engine: dependency-free, one home.

`core` has the machine (configuration, descriptor, rules, register map, counters, error codes),
`network` the program file, `generate` writes both in SystemVerilog and C++, `base` is what every
room uses.  Only the standard library and NumPy are imported, so that the board can carry it.
"""
