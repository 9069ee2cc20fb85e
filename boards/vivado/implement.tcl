# Synthesis, implementation, and the two files a board needs.  Sourced by build.tcl.

set wrapper [make_wrapper -files [get_files penstock.bd] -top]
add_files -norecurse [list $wrapper]
set_property top penstock_wrapper [current_fileset]
update_compile_order -fileset sources_1

launch_runs impl_1 -to_step write_bitstream -jobs $jobs
wait_on_runs impl_1
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} {
  error "implementation failed: see $build_dir/project/penstock.runs"
}

open_run impl_1
report_utilization -hierarchical -file $build_dir/utilization.rpt
report_timing_summary -file $build_dir/timing.rpt
set slack [get_property SLACK [get_timing_paths -max_paths 1 -setup]]
if {$slack < 0} {
  error "timing is not met at $clock_mhz MHz: slack $slack ns, see $build_dir/timing.rpt"
}

set runs [get_property DIRECTORY [get_runs impl_1]]
file copy -force $runs/penstock_wrapper.bit $build_dir/penstock.bit
# The folder moved between releases.  No glob: the path may hold brackets.
foreach kind {gen srcs} {
  set handoff $build_dir/project/penstock.$kind/sources_1/bd/penstock/hw_handoff/penstock.hwh
  if {[file exists $handoff]} { break }
}
file copy -force $handoff $build_dir/penstock.hwh
puts "wrote $build_dir/penstock.bit and $build_dir/penstock.hwh, slack $slack ns"
