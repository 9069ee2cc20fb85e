// Stand-in core for the harness: copies every input image to its output record, plus one.
//
// Same ports as `penstock`, built from the same register slave and AXI masters.  Each beat of an
// image comes back with 1 added to its lowest byte.  Stops with ERR_CONFIG, ERR_READ, ERR_WRITE.
// With n_descriptors = 0xBAD it reads past the input; with 0xB0B an assertion fails.
module echo_top (
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
  localparam logic [31:0] HASH = 32'h0000ECC0;
  localparam logic [31:0] READ_OUTSIDE = 32'hBAD;
  localparam logic [31:0] FAIL_ASSERTION = 32'hB0B;
  localparam int unsigned Depth = 64;

  typedef enum logic [1:0] { Idle, Image, Drain, Done } state_e;
  state_e      state_q;
  logic        start, done, flush, read_busy, read_error, write_busy, write_error;
  logic [63:0] input_base, output_base, program_unused, weights_unused;
  logic [31:0] n_descriptors, n_images, input_stride, output_stride, weight_bytes_unused, hash;
  logic [31:0] error_q, image_q;
  logic [63:0] read_addr_q, write_addr_q;
  logic [31:0] read_left_q;                      // beats of this image still to be asked for
  logic        write_asked_q;
  logic [6:0]  promised_q;                       // beats asked for and not yet written
  logic [15:0] chunk;
  logic        req_valid, req_ready, rsp_valid, rsp_last_unused;
  logic [63:0] rsp_data;
  logic        write_valid, write_ready, fifo_valid, fifo_ready, fifo_in_ready_unused;
  logic [63:0] fifo_data;
  logic [6:0]  fifo_count_unused;

  assign chunk = (read_left_q < 32'd16) ? read_left_q[15:0] : 16'd16;
  assign req_valid = state_q == Image && read_left_q != '0 && promised_q <= 7'(Depth - 16);
  assign write_valid = state_q == Image && !write_asked_q;
  assign flush = state_q == Drain && error_q != ps_pkg::ERR_NONE;
  assign done = state_q == Done;

  always_ff @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      state_q <= Idle;
      error_q <= '0;
      image_q <= '0;
      promised_q <= '0;
      write_asked_q <= 1'b0;
    end else begin
      promised_q <= promised_q + ((req_valid && req_ready) ? chunk[6:0] : 7'd0) -
                    ((fifo_valid && fifo_ready) ? 7'd1 : 7'd0);
      if (write_valid && write_ready) write_asked_q <= 1'b1;
      unique case (state_q)
        Idle:
          if (start) begin
            error_q       <= (hash == HASH) ? ps_pkg::ERR_NONE : ps_pkg::ERR_CONFIG;
            state_q       <= (hash == HASH && n_images != '0) ? Image : Done;
            image_q       <= '0;
            write_asked_q <= 1'b0;
          end
        Image:
          if (read_error) begin
            error_q <= ps_pkg::ERR_READ;
            state_q <= Drain;
          end else if (write_error) begin
            error_q <= ps_pkg::ERR_WRITE;
            state_q <= Drain;
          end else if (read_left_q == '0 && write_asked_q && promised_q == '0 && !write_busy) begin
            image_q       <= image_q + 32'd1;
            write_asked_q <= 1'b0;
            if (image_q + 32'd1 == n_images) state_q <= Done;
          end
        Drain: if (!read_busy && !write_busy) state_q <= Done;
        default: state_q <= Idle;
      endcase
      if (state_q == Done) promised_q <= '0;
    end
  end

  always_ff @(posedge ap_clk) begin
    if (state_q == Idle) begin
      read_addr_q  <= input_base + ((n_descriptors == READ_OUTSIDE) ? 64'd8 : 64'd0);
      write_addr_q <= output_base;
      read_left_q  <= input_stride >> 3;
    end else if (req_valid && req_ready) begin
      read_addr_q <= read_addr_q + {45'd0, chunk, 3'd0};
      read_left_q <= read_left_q - 32'(chunk);
    end else if (read_left_q == '0 && write_asked_q && promised_q == '0 && !write_busy) begin
      write_addr_q <= write_addr_q + 64'(output_stride);
      read_left_q  <= input_stride >> 3;
    end
  end

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
    .error_i(error_q),
    .position_i('0),
    .image_i(image_q),
    .program_o(program_unused),
    .weights_o(weights_unused),
    .input_o(input_base),
    .output_o(output_base),
    .n_descriptors_o(n_descriptors),
    .n_images_o(n_images),
    .input_stride_o(input_stride),
    .output_stride_o(output_stride),
    .weight_bytes_o(weight_bytes_unused),
    .config_hash_o(hash)
  );

  ps_axi_read #(
    .NumClients(1),
    .MaxOutstanding(4)
  ) u_read (
    .clk_i(ap_clk),
    .rst_ni(ap_rst_n),
    .req_valid_i(req_valid),
    .req_addr_i(read_addr_q),
    .req_beats_i(chunk),
    .req_ready_o(req_ready),
    .rsp_valid_o(rsp_valid),
    .rsp_data_o(rsp_data),
    .rsp_last_o(rsp_last_unused),
    .flush_i(flush),
    .busy_o(read_busy),
    .error_o(read_error),
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

  ps_fifo #(
    .Width(64),
    .Depth(Depth)
  ) u_fifo (
    .clk_i(ap_clk),
    .rst_ni(ap_rst_n && !done),
    .in_valid_i(rsp_valid),
    .in_ready_o(fifo_in_ready_unused),
    .in_data_i(rsp_data),
    .out_valid_o(fifo_valid),
    .out_ready_i(fifo_ready),
    .out_data_o(fifo_data),
    .count_o(fifo_count_unused)
  );

  ps_axi_write #(
    .MaxOutstanding(4)
  ) u_write (
    .clk_i(ap_clk),
    .rst_ni(ap_rst_n),
    .req_valid_i(write_valid),
    .req_addr_i(write_addr_q),
    .req_beats_i(16'(input_stride >> 3)),
    .req_ready_o(write_ready),
    .data_valid_i(fifo_valid),
    .data_i(fifo_data + 64'd1),
    .data_ready_o(fifo_ready),
    .flush_i(flush),
    .busy_o(write_busy),
    .error_o(write_error),
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

  assert property (@(posedge ap_clk) disable iff (!ap_rst_n)
      start |-> n_descriptors != FAIL_ASSERTION)
    else $error("echo_top: asked to fail");
endmodule
