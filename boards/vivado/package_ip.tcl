# Packages the SystemVerilog core as IP in $build_dir/ip: IP-XACT with the register map.
# Sourced by build.tcl after settings.tcl.

create_project -force package $build_dir/package -part $part
add_files -norecurse $sources
set_property file_type SystemVerilog [get_files *.sv]
set_property top $top [current_fileset]
update_compile_order -fileset sources_1

ipx::package_project -root_dir $build_dir/ip/penstock -vendor [lindex [split $vlnv :] 0] \
  -library [lindex [split $vlnv :] 1] -taxonomy /UserIP -import_files -force
set core [ipx::current_core]
set_property name [lindex [split $vlnv :] 2] $core
set_property version [lindex [split $vlnv :] 3] $core
set_property display_name "Penstock $config" $core
set_property supported_families {zynq Production zynquplus Production} $core

foreach bus {s_axi_control m_axi_gmem} {
  ipx::associate_bus_interfaces -busif $bus -clock ap_clk $core
}

# The register map: PYNQ reads it from the .hwh, the driver takes its offsets from there.
foreach map [ipx::get_memory_maps -quiet -of_objects $core] {
  ipx::remove_memory_map [get_property name $map] $core
}
set map [ipx::add_memory_map s_axi_control $core]
set_property slave_memory_map_ref s_axi_control \
  [ipx::get_bus_interfaces s_axi_control -of_objects $core]
set block [ipx::add_address_block Reg $map]
set_property range 65536 $block
set_property usage register $block
foreach {name offset access fields} $registers {
  set register [ipx::add_register $name $block]
  set_property address_offset $offset $register
  set_property size 32 $register
  set_property access $access $register
  foreach {field bit width field_access} $fields {
    set bits [ipx::add_field $field $register]
    set_property bit_offset $bit $bits
    set_property bit_width $width $bits
    set_property access $field_access $bits
  }
}

# The hash of the configuration: the driver refuses a program for another one.
set parameter [ipx::add_user_parameter $hash_parameter $core]
set_property value_resolve_type immediate $parameter
set_property value $config_hash $parameter
set_property value_format string $parameter

ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
set ip_dir $build_dir/ip
