# Stands in for Vivado: every command it would run is recorded, none is carried out.
#   tclsh vivado_stub.tcl build.tcl record.txt PROGRESS SLACK
# A command that is neither Tcl's nor in the list below is an error, as in Vivado.

if {[info exists ::stub_args]} {set argv $::stub_args}
lassign $argv script record progress slack
set ::record [open $record w]
array set ::properties [list PROGRESS $progress SLACK $slack DIRECTORY [pwd]/run]

set ::known {
  create_project close_project current_project add_files get_files set_property get_property
  current_fileset update_compile_order update_ip_catalog create_bd_design create_bd_cell
  get_bd_cells apply_bd_automation get_bd_intf_pins get_bd_pins connect_bd_net assign_bd_address
  validate_bd_design save_bd_design make_wrapper launch_runs wait_on_runs get_runs open_run
  report_utilization report_timing_summary get_timing_paths
  ipx::package_project ipx::current_core ipx::associate_bus_interfaces ipx::get_memory_maps
  ipx::remove_memory_map ipx::add_memory_map ipx::get_bus_interfaces ipx::add_address_block
  ipx::add_register ipx::add_field ipx::add_user_parameter ipx::create_xgui_files
  ipx::update_checksums ipx::check_integrity ipx::save_core
}

proc unknown {args} {
  set command [string trimleft [lindex $args 0] :]
  if {$command ni $::known} {
    error "Vivado has no command '$command'"
  }
  puts $::record [join [linsert [lrange $args 1 end] 0 $command] "\x1f"]
  switch -- $command {
    get_property {
      set name [lindex $args 1]
      return [expr {[info exists ::properties($name)] ? $::properties($name) : "value"}]
    }
    ipx::get_memory_maps { return {inferred} }
    make_wrapper { return [pwd]/penstock_wrapper.v }
    wait_on_runs {
      # What an implementation leaves behind.
      set handoff project/penstock.gen/sources_1/bd/penstock/hw_handoff
      file mkdir run $handoff
      close [open run/penstock_wrapper.bit w]
      close [open $handoff/penstock.hwh w]
    }
  }
  return "<$command [lrange $args 1 end]>"
}

set code [catch {source $script} message]
close $::record
if {$code} {
  error $message
}
