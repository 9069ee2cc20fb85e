"""Engine `rtl`: the SystemVerilog core as a native Verilator model, for whole data sets."""
