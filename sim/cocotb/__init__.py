"""Runner and shared drivers of the cocotb benches (tests/rtl)."""
