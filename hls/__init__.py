"""The accelerator in Vitis HLS C++: its sources (hls/src/), and the emitter of a Vitis project.

The C++ is one template for every configuration: `penstock.program.generate.cplusplus`
writes the header that fixes the sizes, and the folder of element types on the include path decides
whether they are ap_types or plain integers.
"""
