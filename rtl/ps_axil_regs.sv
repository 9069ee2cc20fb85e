// AXI4-Lite slave with the `ap_ctrl_hs` register map of Vitis HLS (program/core/registers.py).
//
// Start: writing AP_CTRL bit 0 while idle gives one start_o pulse in the next cycle and makes the
// core busy until done_i; writing it while busy (the cycle of done_i included) has no effect.
// Arguments are *latched at start*: the host may write the next run's arguments while a run is in
// progress, *_o keep the values of the current run.  Reads return what the host wrote last.
//
// AP_CTRL reads b0 ap_start (set until done), b1 ap_done, b2 ap_idle, b3 ap_ready; done and ready
// are set by done_i and cleared by reading AP_CTRL (a done_i in the same cycle wins).
// ISR b0/b1 are set by done_i when IER b0/b1 is set and toggle where a written bit is 1;
// interrupt_o = GIER b0 && ISR != 0.  auto_restart (b7) is left out: it reads 0.
// `error`, `position` and `image` read error_i, position_i and image_i directly.
//
// One write and one read are handled at a time, one a cycle at best: AW and W are taken together.
// Every address answers OKAY; unmapped ones read 0 and ignore writes.  Write strobes are honoured.
module ps_axil_regs (
  input  logic        clk_i,
  input  logic        rst_ni,

  input  logic [7:0]  s_axi_control_awaddr,
  input  logic        s_axi_control_awvalid,
  output logic        s_axi_control_awready,
  input  logic [31:0] s_axi_control_wdata,
  input  logic [3:0]  s_axi_control_wstrb,
  input  logic        s_axi_control_wvalid,
  output logic        s_axi_control_wready,
  output logic [1:0]  s_axi_control_bresp,
  output logic        s_axi_control_bvalid,
  input  logic        s_axi_control_bready,
  input  logic [7:0]  s_axi_control_araddr,
  input  logic        s_axi_control_arvalid,
  output logic        s_axi_control_arready,
  output logic [31:0] s_axi_control_rdata,
  output logic [1:0]  s_axi_control_rresp,
  output logic        s_axi_control_rvalid,
  input  logic        s_axi_control_rready,
  output logic        interrupt_o,

  output logic        start_o,
  input  logic        done_i,
  input  logic [31:0] error_i,
  input  logic [31:0] position_i,
  input  logic [31:0] image_i,

  output logic [63:0] program_o,
  output logic [63:0] weights_o,
  output logic [63:0] input_o,
  output logic [63:0] output_o,
  output logic [31:0] n_descriptors_o,
  output logic [31:0] n_images_o,
  output logic [31:0] input_stride_o,
  output logic [31:0] output_stride_o,
  output logic [31:0] weight_bytes_o,
  output logic [31:0] config_hash_o
);
  // Fixed by ap_ctrl_hs, whatever the arguments are.
  localparam logic [7:0] AP_CTRL = 8'h00;
  localparam logic [7:0] GIER = 8'h04;
  localparam logic [7:0] IER = 8'h08;
  localparam logic [7:0] ISR = 8'h0C;
  localparam logic [1:0] RESP_OKAY = 2'b00;

  // Order of the argument words below; a 64-bit argument takes two.
  localparam int unsigned NumWords = 14;
  localparam logic [NumWords-1:0][7:0] WORD_ADDR = {
    ps_pkg::REG_CONFIG_HASH,
    ps_pkg::REG_WEIGHT_BYTES,
    ps_pkg::REG_OUTPUT_STRIDE,
    ps_pkg::REG_INPUT_STRIDE,
    ps_pkg::REG_N_IMAGES,
    ps_pkg::REG_N_DESCRIPTORS,
    ps_pkg::REG_OUTPUT + 8'd4,
    ps_pkg::REG_OUTPUT,
    ps_pkg::REG_INPUT + 8'd4,
    ps_pkg::REG_INPUT,
    ps_pkg::REG_WEIGHTS + 8'd4,
    ps_pkg::REG_WEIGHTS,
    ps_pkg::REG_PROGRAM + 8'd4,
    ps_pkg::REG_PROGRAM
  };

  logic [NumWords-1:0][31:0] host_q;  // what the host wrote last
  logic [NumWords-1:0][31:0] run_q;   // what the current run uses

  assign program_o       = run_q[1:0];
  assign weights_o       = run_q[3:2];
  assign input_o         = run_q[5:4];
  assign output_o        = run_q[7:6];
  assign n_descriptors_o = run_q[8];
  assign n_images_o      = run_q[9];
  assign input_stride_o  = run_q[10];
  assign output_stride_o = run_q[11];
  assign weight_bytes_o  = run_q[12];
  assign config_hash_o   = run_q[13];

  // ---- write channel
  logic       write, write_resp_q;
  logic [7:0] write_addr;

  assign write = s_axi_control_awvalid && s_axi_control_wvalid &&
                 (!write_resp_q || s_axi_control_bready);
  assign write_addr = {s_axi_control_awaddr[7:2], 2'b00};
  assign s_axi_control_awready = write;
  assign s_axi_control_wready  = write;
  assign s_axi_control_bvalid  = write_resp_q;
  assign s_axi_control_bresp   = RESP_OKAY;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) write_resp_q <= 1'b0;
    else if (write) write_resp_q <= 1'b1;
    else if (s_axi_control_bready) write_resp_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      host_q <= '0;
    end else if (write) begin
      for (int unsigned w = 0; w < NumWords; w++) begin
        if (write_addr == WORD_ADDR[w]) begin
          for (int unsigned b = 0; b < 4; b++) begin
            if (s_axi_control_wstrb[b]) host_q[w][8*b +: 8] <= s_axi_control_wdata[8*b +: 8];
          end
        end
      end
    end
  end

  // ---- start, done, interrupt
  logic       control_write;  // a write that carries byte 0, where all control bits live
  logic       start, start_q, busy_q, done_q, ready_q, gier_q;
  logic [1:0] ier_q, isr_q;
  logic       read;

  assign control_write = write && s_axi_control_wstrb[0];
  assign start = control_write && write_addr == AP_CTRL && s_axi_control_wdata[0] && !busy_q;
  assign start_o = start_q;
  assign interrupt_o = gier_q && (isr_q != '0);

  always_ff @(posedge clk_i) begin
    if (start) run_q <= host_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      start_q <= 1'b0;
      busy_q  <= 1'b0;
      done_q  <= 1'b0;
      ready_q <= 1'b0;
      gier_q  <= 1'b0;
      ier_q   <= '0;
      isr_q   <= '0;
    end else begin
      start_q <= start;
      if (start) busy_q <= 1'b1;
      else if (done_i) busy_q <= 1'b0;

      if (done_i) begin
        done_q  <= 1'b1;
        ready_q <= 1'b1;
      end else if (read && s_axi_control_araddr[7:2] == AP_CTRL[7:2]) begin
        done_q  <= 1'b0;
        ready_q <= 1'b0;
      end

      if (control_write && write_addr == GIER) gier_q <= s_axi_control_wdata[0];
      if (control_write && write_addr == IER) ier_q <= s_axi_control_wdata[1:0];
      if (control_write && write_addr == ISR) isr_q <= isr_q ^ s_axi_control_wdata[1:0];
      if (done_i && ier_q[0]) isr_q[0] <= 1'b1;
      if (done_i && ier_q[1]) isr_q[1] <= 1'b1;
    end
  end

  // ---- read channel
  logic        read_valid_q;
  logic [31:0] read_data_q, read_data_d;
  logic [7:0]  read_addr;

  assign read = s_axi_control_arvalid && s_axi_control_arready;
  assign read_addr = {s_axi_control_araddr[7:2], 2'b00};
  assign s_axi_control_arready = !read_valid_q || s_axi_control_rready;
  assign s_axi_control_rvalid  = read_valid_q;
  assign s_axi_control_rdata   = read_data_q;
  assign s_axi_control_rresp   = RESP_OKAY;

  always_comb begin
    read_data_d = '0;
    for (int unsigned w = 0; w < NumWords; w++) begin
      if (read_addr == WORD_ADDR[w]) read_data_d = host_q[w];
    end
    unique case (read_addr)
      AP_CTRL: read_data_d = {28'd0, ready_q, !busy_q, done_q, busy_q};
      GIER: read_data_d = {31'd0, gier_q};
      IER: read_data_d = {30'd0, ier_q};
      ISR: read_data_d = {30'd0, isr_q};
      ps_pkg::REG_ERROR: read_data_d = error_i;
      ps_pkg::REG_POSITION: read_data_d = position_i;
      ps_pkg::REG_IMAGE: read_data_d = image_i;
      default: ;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (read) read_data_q <= read_data_d;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) read_valid_q <= 1'b0;
    else if (read) read_valid_q <= 1'b1;
    else if (s_axi_control_rready) read_valid_q <= 1'b0;
  end

  // Byte addresses inside a word mean nothing on AXI4-Lite.
  logic unused_addr_bits;
  assign unused_addr_bits = ^{s_axi_control_awaddr[1:0], s_axi_control_araddr[1:0]};

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) done_i |-> busy_q)
    else $error("ps_axil_regs: done_i while idle");
  assert property (@(posedge clk_i) disable iff (!rst_ni) start_o |=> !start_o)
    else $error("ps_axil_regs: start_o longer than a cycle");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      s_axi_control_rvalid && !s_axi_control_rready |=>
      s_axi_control_rvalid && $stable(s_axi_control_rdata))
    else $error("ps_axil_regs: R changed while stalled");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      s_axi_control_bvalid && !s_axi_control_bready |=> s_axi_control_bvalid)
    else $error("ps_axil_regs: B dropped while stalled");
`endif
endmodule
