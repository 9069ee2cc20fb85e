# Builds penstock.bit and penstock.hwh around the core: vivado -mode batch -source build.tcl
# settings.tcl, beside this file, holds everything that depends on board, core and configuration.

set script_dir [file dirname [file normalize [info script]]]
source [file join $script_dir settings.tcl]
if {$core_kind eq "rtl"} {
  source [file join $script_dir package_ip.tcl]
}
source [file join $script_dir design.tcl]
source [file join $script_dir implement.tcl]
