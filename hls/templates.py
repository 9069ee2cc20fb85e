"""Texts of an emitted project; `string.Template`, filled by project.py."""

from string import Template

BUILD_TCL = Template("""\
# $title
#   vitis_hls -f build.tcl                      (Vitis HLS up to 2024.x)
#   vitis-run --mode hls --tcl build.tcl        (2023.1 and later)
# Which steps run is set in options.tcl.
# Every path below is relative to this file: the folder's own may hold blanks, brackets and quotes.
cd [file dirname [file normalize [info script]]]
source options.tcl

open_project -reset vitis
set_top $top
foreach file [lsort [glob src/*.cpp]] {
  add_files $$file -cflags "-std=$standard -I./src -I./$vitis_bus"
}
add_files -tb tb/penstock_tb.cpp -cflags "-std=$standard -I./src -I./$vitis_bus"
# A file of the bench: the tool copies it to where the bench runs.
add_files -tb tb/vectors.bin
set vectors vectors.bin

open_solution -reset solution -flow_target vivado
set_part {$part}
create_clock -period $period -name default
# Its default moved between releases, and it moves every register.
config_interface -m_axi_addr64=true
# The port stays 64 bits wide: an HP port of a Zynq-7000 has no more.
config_interface -m_axi_max_widen_bitwidth 64
config_interface -m_axi_alignment_byte_size 8
config_export -format ip_catalog -vendor xilinx.com -library hls -ipname penstock -version 1.0

if {"csim" in $$steps} { csim_design -argv $$vectors }
if {"csynth" in $$steps} { csynth_design }
if {"cosim" in $$steps} { cosim_design -rtl verilog -argv $$vectors }
if {"export" in $$steps} { export_design -format ip_catalog }
exit
""")

OPTIONS_TCL = Template("""\
# Read by build.tcl, because vitis-run passes no arguments.  csim csynth cosim export
set steps {$steps}
""")

CONFIG_CFG = Template("""\
# $title
#   v++ -c --mode hls --config hls_config.cfg --work_dir vitis       synthesis
#   vitis-run --mode hls --csim --config hls_config.cfg --work_dir vitis
#   vitis-run --mode hls --cosim --config hls_config.cfg --work_dir vitis
#   vitis-run --mode hls --package --config hls_config.cfg --work_dir vitis
part=$part

[hls]
flow_target=vivado
clock=${period}ns
syn.top=$top
$sources
syn.cflags=-std=$standard -I./src -I./$vitis_bus
tb.file=./tb/penstock_tb.cpp
tb.file=./tb/vectors.bin
tb.cflags=-std=$standard -I./src -I./$vitis_bus
csim.argv=vectors.bin
cosim.argv=vectors.bin
cosim.rtl=verilog
syn.interface.m_axi_addr64=1
syn.interface.m_axi_max_widen_bitwidth=64
syn.interface.m_axi_alignment_byte_size=8
package.output.format=ip_catalog
package.ip.vendor=xilinx.com
package.ip.library=hls
package.ip.name=penstock
package.ip.version=1.0
""")

README = Template("""\
# $title

Written by `penstock hls`; docs/hls.md of the Penstock repository explains the sources.

| what | value |
|---|---|
| network of the vectors | $network |
| configuration | $config: $p_oc x $p_px MACs, hash $hash |
| board, part | $board, $part |
| clock | $period ns |
| images in the test bench | $images |

The core runs any program compiled for this configuration; the network is only in the vectors.

    vitis_hls -f build.tcl                    # or: vitis-run --mode hls --tcl build.tcl
    v++ -c --mode hls --config hls_config.cfg --work_dir vitis

Steps (csim, csynth, cosim, export) are chosen in `options.tcl`. The IP appears in
`vitis/solution/impl/ip`, the reports in `vitis/solution/syn/report`.

Without Vitis, with the ap_types headers of hls4ml (`pip install hls4ml`):

    AP=$$(python3 -c "import importlib.util as u, pathlib as p; \\
      print(p.Path(u.find_spec('hls4ml').origin).parent / 'templates/vivado/ap_types')")
    g++ -std=$standard -O2 $flags -Isrc -I$plain_bus -isystem $$AP \\
      src/*.cpp tb/penstock_tb.cpp -o csim && ./csim tb/vectors.bin

| file | what |
|---|---|
| `src/penstock.cpp` | top and sequencer; `src/ps_config.h` is the generated configuration |
| `src/ps_*.cpp` | one unit a file |
| `$vitis_bus/`, `$plain_bus/` | the AXI4 master: explicit bursts, or pointers |
| `tb/penstock_tb.cpp`, `tb/vectors.bin` | test bench, golden vectors |
| `build.tcl`, `options.tcl`, `hls_config.cfg` | the two flows |
| `report.json` | what `penstock hls` ran and found |
""")
