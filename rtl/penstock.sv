// Penstock's top: the ports an IP packager and the HLS core share (design section 8).
//
// AXI4-Lite `s_axi_control` with the Vitis HLS register map, one AXI4 master `m_axi_gmem` (64 bit,
// INCR, at most 16 beats), `interrupt`.  Everything is in the ap_clk domain; ap_rst_n is
// synchronous.
module penstock (
  input  wire        ap_clk,
  input  wire        ap_rst_n,
  input  wire [7:0]  s_axi_control_awaddr,
  input  wire        s_axi_control_awvalid,
  output wire        s_axi_control_awready,
  input  wire [31:0] s_axi_control_wdata,
  input  wire [3:0]  s_axi_control_wstrb,
  input  wire        s_axi_control_wvalid,
  output wire        s_axi_control_wready,
  output wire [1:0]  s_axi_control_bresp,
  output wire        s_axi_control_bvalid,
  input  wire        s_axi_control_bready,
  input  wire [7:0]  s_axi_control_araddr,
  input  wire        s_axi_control_arvalid,
  output wire        s_axi_control_arready,
  output wire [31:0] s_axi_control_rdata,
  output wire [1:0]  s_axi_control_rresp,
  output wire        s_axi_control_rvalid,
  input  wire        s_axi_control_rready,
  output wire        m_axi_gmem_arid,
  output wire [63:0] m_axi_gmem_araddr,
  output wire [7:0]  m_axi_gmem_arlen,
  output wire [2:0]  m_axi_gmem_arsize,
  output wire [1:0]  m_axi_gmem_arburst,
  output wire        m_axi_gmem_arlock,
  output wire [3:0]  m_axi_gmem_arcache,
  output wire [2:0]  m_axi_gmem_arprot,
  output wire [3:0]  m_axi_gmem_arqos,
  output wire        m_axi_gmem_arvalid,
  input  wire        m_axi_gmem_arready,
  input  wire        m_axi_gmem_rid,
  input  wire [63:0] m_axi_gmem_rdata,
  input  wire [1:0]  m_axi_gmem_rresp,
  input  wire        m_axi_gmem_rlast,
  input  wire        m_axi_gmem_rvalid,
  output wire        m_axi_gmem_rready,
  output wire        m_axi_gmem_awid,
  output wire [63:0] m_axi_gmem_awaddr,
  output wire [7:0]  m_axi_gmem_awlen,
  output wire [2:0]  m_axi_gmem_awsize,
  output wire [1:0]  m_axi_gmem_awburst,
  output wire        m_axi_gmem_awlock,
  output wire [3:0]  m_axi_gmem_awcache,
  output wire [2:0]  m_axi_gmem_awprot,
  output wire [3:0]  m_axi_gmem_awqos,
  output wire        m_axi_gmem_awvalid,
  input  wire        m_axi_gmem_awready,
  output wire [63:0] m_axi_gmem_wdata,
  output wire [7:0]  m_axi_gmem_wstrb,
  output wire        m_axi_gmem_wlast,
  output wire        m_axi_gmem_wvalid,
  input  wire        m_axi_gmem_wready,
  input  wire        m_axi_gmem_bid,
  input  wire [1:0]  m_axi_gmem_bresp,
  input  wire        m_axi_gmem_bvalid,
  output wire        m_axi_gmem_bready,
  /* verilator lint_off SYMRSVDWORD */  // the name every Vitis core gives it
  output wire        interrupt
  /* verilator lint_on SYMRSVDWORD */
);
  logic start, done, flush, rd_busy, rd_error, wr_busy, wr_error;
  logic [31:0] error, position, image;
  ps_types::run_t run;

  ps_axil_regs u_regs (
    .clk_i(ap_clk),
    .rst_ni(ap_rst_n),
    .s_axi_control_awaddr(s_axi_control_awaddr),
    .s_axi_control_awvalid(s_axi_control_awvalid),
    .s_axi_control_awready(s_axi_control_awready),
    .s_axi_control_wdata(s_axi_control_wdata),
    .s_axi_control_wstrb(s_axi_control_wstrb),
    .s_axi_control_wvalid(s_axi_control_wvalid),
    .s_axi_control_wready(s_axi_control_wready),
    .s_axi_control_bresp(s_axi_control_bresp),
    .s_axi_control_bvalid(s_axi_control_bvalid),
    .s_axi_control_bready(s_axi_control_bready),
    .s_axi_control_araddr(s_axi_control_araddr),
    .s_axi_control_arvalid(s_axi_control_arvalid),
    .s_axi_control_arready(s_axi_control_arready),
    .s_axi_control_rdata(s_axi_control_rdata),
    .s_axi_control_rresp(s_axi_control_rresp),
    .s_axi_control_rvalid(s_axi_control_rvalid),
    .s_axi_control_rready(s_axi_control_rready),
    .interrupt_o(interrupt),
    .start_o(start),
    .done_i(done),
    .error_i(error),
    .position_i(position),
    .image_i   (image),
    .program_o(run.program_at),
    .weights_o(run.weights_at),
    .input_o(run.input_at),
    .output_o(run.output_at),
    .n_descriptors_o(run.n_descriptors),
    .n_images_o(run.n_images),
    .input_stride_o(run.input_stride),
    .output_stride_o(run.output_stride),
    .weight_bytes_o(run.weight_bytes),
    .config_hash_o(run.config_hash)
  );

  // R and B are always ready.
  logic bus_moves;
  assign bus_moves = (m_axi_gmem_arvalid && m_axi_gmem_arready)
      || (m_axi_gmem_awvalid && m_axi_gmem_awready)
      || (m_axi_gmem_wvalid && m_axi_gmem_wready) || m_axi_gmem_rvalid || m_axi_gmem_bvalid;

  ps_types::mem_request_t [2:0] rd_req;
  ps_types::mem_request_t wr_req;
  logic [2:0] rd_req_ready, rd_valid;
  logic wr_req_ready, wr_valid, wr_ready;
  logic [63:0] rd_data, wr_data;

  ps_core u_core (
    .clk_i(ap_clk),
    .rst_ni(ap_rst_n),
    .start_i(start),
    .done_o(done),
    .error_o(error),
    .position_o(position),
    .image_o   (image),
    .run_i(run),
    .rd_req_o(rd_req),
    .rd_req_ready_i(rd_req_ready),
    .rd_valid_i(rd_valid),
    .rd_data_i(rd_data),
    .rd_busy_i(rd_busy),
    .rd_error_i(rd_error),
    .wr_req_o(wr_req),
    .wr_req_ready_i(wr_req_ready),
    .wr_valid_o(wr_valid),
    .wr_data_o(wr_data),
    .wr_ready_i(wr_ready),
    .wr_busy_i(wr_busy),
    .wr_error_i(wr_error),
    .bus_moves_i(bus_moves),
    .flush_o(flush)
  );

  ps_axi_read #(.NumClients(3), .MaxOutstanding(ps_cfg::MAX_OUTSTANDING)) u_read (
    .clk_i(ap_clk),
    .rst_ni(ap_rst_n),
    .req_valid_i({rd_req[2].valid, rd_req[1].valid, rd_req[0].valid}),
    .req_addr_i({rd_req[2].addr, rd_req[1].addr, rd_req[0].addr}),
    .req_beats_i({rd_req[2].beats, rd_req[1].beats, rd_req[0].beats}),
    .req_ready_o(rd_req_ready),
    .rsp_valid_o(rd_valid),
    .rsp_data_o(rd_data),
    /* verilator lint_off PINCONNECTEMPTY */
    .rsp_last_o(),  // every client counts its beats
    /* verilator lint_on PINCONNECTEMPTY */
    .flush_i(flush),
    .busy_o(rd_busy),
    .error_o(rd_error),
    .m_axi_arid(m_axi_gmem_arid),
    .m_axi_araddr(m_axi_gmem_araddr),
    .m_axi_arlen(m_axi_gmem_arlen),
    .m_axi_arsize(m_axi_gmem_arsize),
    .m_axi_arburst(m_axi_gmem_arburst),
    .m_axi_arlock(m_axi_gmem_arlock),
    .m_axi_arcache(m_axi_gmem_arcache),
    .m_axi_arprot(m_axi_gmem_arprot),
    .m_axi_arqos(m_axi_gmem_arqos),
    .m_axi_arvalid(m_axi_gmem_arvalid),
    .m_axi_arready(m_axi_gmem_arready),
    .m_axi_rid(m_axi_gmem_rid),
    .m_axi_rdata(m_axi_gmem_rdata),
    .m_axi_rresp(m_axi_gmem_rresp),
    .m_axi_rlast(m_axi_gmem_rlast),
    .m_axi_rvalid(m_axi_gmem_rvalid),
    .m_axi_rready(m_axi_gmem_rready)
  );

  ps_axi_write u_write (
    .clk_i(ap_clk),
    .rst_ni(ap_rst_n),
    .req_valid_i(wr_req.valid),
    .req_addr_i(wr_req.addr),
    .req_beats_i(wr_req.beats),
    .req_ready_o(wr_req_ready),
    .data_valid_i(wr_valid),
    .data_i(wr_data),
    .data_ready_o(wr_ready),
    .flush_i(flush),
    .busy_o(wr_busy),
    .error_o(wr_error),
    .m_axi_awid(m_axi_gmem_awid),
    .m_axi_awaddr(m_axi_gmem_awaddr),
    .m_axi_awlen(m_axi_gmem_awlen),
    .m_axi_awsize(m_axi_gmem_awsize),
    .m_axi_awburst(m_axi_gmem_awburst),
    .m_axi_awlock(m_axi_gmem_awlock),
    .m_axi_awcache(m_axi_gmem_awcache),
    .m_axi_awprot(m_axi_gmem_awprot),
    .m_axi_awqos(m_axi_gmem_awqos),
    .m_axi_awvalid(m_axi_gmem_awvalid),
    .m_axi_awready(m_axi_gmem_awready),
    .m_axi_wdata(m_axi_gmem_wdata),
    .m_axi_wstrb(m_axi_gmem_wstrb),
    .m_axi_wlast(m_axi_gmem_wlast),
    .m_axi_wvalid(m_axi_gmem_wvalid),
    .m_axi_wready(m_axi_gmem_wready),
    .m_axi_bid(m_axi_gmem_bid),
    .m_axi_bresp(m_axi_gmem_bresp),
    .m_axi_bvalid(m_axi_gmem_bvalid),
    .m_axi_bready(m_axi_gmem_bready)
  );
endmodule
