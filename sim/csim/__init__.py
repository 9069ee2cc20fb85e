"""The HLS core's C++ as a shared library: built once per configuration, driven through ctypes."""
