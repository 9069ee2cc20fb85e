"""The contract in the other languages: SystemVerilog packages, the C++ header of the HLS core."""
