# The block design: processing system, core, AXI interrupt controller.  Sourced by build.tcl.

create_project -force penstock $build_dir/project -part $part
set_property board_part $board_part [current_project]
set_property ip_repo_paths [list $ip_dir] [current_project]
update_ip_catalog -rebuild
create_bd_design penstock

create_bd_cell -type ip -vlnv $ps_vlnv ps_0
apply_bd_automation -rule $ps_rule -config $ps_automation [get_bd_cells ps_0]
set_property -dict $ps_properties [get_bd_cells ps_0]

create_bd_cell -type ip -vlnv $vlnv penstock_0
create_bd_cell -type ip -vlnv xilinx.com:ip:axi_intc axi_intc_0
set_property -dict {CONFIG.C_IRQ_CONNECTION 1 CONFIG.C_KIND_OF_INTR 0x00000000} \
  [get_bd_cells axi_intc_0]

# The automation makes clock, reset and interconnect.
foreach slave {penstock_0/s_axi_control axi_intc_0/s_axi} {
  apply_bd_automation -rule xilinx.com:bd_rule:axi4 \
    -config [list Master /ps_0/$ps_control Slave /$slave Clk_master Auto Clk_slave Auto Clk_xbar Auto] \
    [get_bd_intf_pins $slave]
}
apply_bd_automation -rule xilinx.com:bd_rule:axi4 \
  -config [list Master /penstock_0/m_axi_gmem Slave /ps_0/$ps_memory Clk_master Auto Clk_slave Auto Clk_xbar Auto] \
  [get_bd_intf_pins ps_0/$ps_memory]

connect_bd_net [get_bd_pins penstock_0/interrupt] [get_bd_pins axi_intc_0/intr]
connect_bd_net [get_bd_pins axi_intc_0/irq] [get_bd_pins ps_0/$ps_interrupt]

assign_bd_address
validate_bd_design
save_bd_design
