// ps_axil_regs obeys AXI4-Lite: what the master sees, whatever it does within the rules.
//
// Responses stay until they are taken; one response a request and none without; nothing blocks:
// a request is taken at once unless an answer is waiting, and answered in the next cycle.
// Beside the protocol: a start while the core is busy does nothing.
module axil_props (
  input logic        clk_i,
  input logic        rst_ni,
  input logic [7:0]  s_axi_control_awaddr,
  input logic        s_axi_control_awvalid,
  input logic        s_axi_control_awready,
  input logic [31:0] s_axi_control_wdata,
  input logic [3:0]  s_axi_control_wstrb,
  input logic        s_axi_control_wvalid,
  input logic        s_axi_control_wready,
  input logic [1:0]  s_axi_control_bresp,
  input logic        s_axi_control_bvalid,
  input logic        s_axi_control_bready,
  input logic [7:0]  s_axi_control_araddr,
  input logic        s_axi_control_arvalid,
  input logic        s_axi_control_arready,
  input logic [31:0] s_axi_control_rdata,
  input logic [1:0]  s_axi_control_rresp,
  input logic        s_axi_control_rvalid,
  input logic        s_axi_control_rready,
  input logic        start_o,
  input logic        done_i,
  input logic        busy_q
);
  logic begun_q = 1'b0, past_q = 1'b0;
  logic aw, w, b, ar, r;
  logic aw_wait_q, w_wait_q, ar_wait_q, b_wait_q, r_wait_q, ar_q, write_q, busy_before_q;
  logic [7:0] awaddr_q, araddr_q;
  logic [35:0] wdata_q;
  logic [33:0] rdata_q;
  logic [1:0] bresp_q, writes_q, beats_q, reads_q;  // requests taken, not yet answered

  assign aw = s_axi_control_awvalid && s_axi_control_awready;
  assign w = s_axi_control_wvalid && s_axi_control_wready;
  assign b = s_axi_control_bvalid && s_axi_control_bready;
  assign ar = s_axi_control_arvalid && s_axi_control_arready;
  assign r = s_axi_control_rvalid && s_axi_control_rready;

  always_ff @(posedge clk_i) begin
    begun_q   <= 1'b1;
    past_q    <= rst_ni;
    aw_wait_q <= s_axi_control_awvalid && !s_axi_control_awready;
    w_wait_q  <= s_axi_control_wvalid && !s_axi_control_wready;
    ar_wait_q <= s_axi_control_arvalid && !s_axi_control_arready;
    b_wait_q  <= s_axi_control_bvalid && !s_axi_control_bready;
    r_wait_q  <= s_axi_control_rvalid && !s_axi_control_rready;
    ar_q      <= ar;
    write_q   <= aw && w;
    awaddr_q  <= s_axi_control_awaddr;
    araddr_q  <= s_axi_control_araddr;
    wdata_q   <= {s_axi_control_wstrb, s_axi_control_wdata};
    rdata_q   <= {s_axi_control_rresp, s_axi_control_rdata};
    bresp_q   <= s_axi_control_bresp;
    busy_before_q <= busy_q;
    if (!rst_ni) begin
      writes_q <= '0;
      beats_q  <= '0;
      reads_q  <= '0;
    end else begin
      writes_q <= writes_q + 2'(aw) - 2'(b);
      beats_q  <= beats_q + 2'(w) - 2'(b);
      reads_q  <= reads_q + 2'(ar) - 2'(r);
    end
  end

  // The master keeps to its side of the rules; the core is done only while it runs.
  always_comb begin
    if (!begun_q) assume (!rst_ni);
    if (begun_q && past_q && rst_ni) begin
      if (aw_wait_q) assume (s_axi_control_awvalid && s_axi_control_awaddr == awaddr_q);
      if (w_wait_q) assume (s_axi_control_wvalid
          && {s_axi_control_wstrb, s_axi_control_wdata} == wdata_q);
      if (ar_wait_q) assume (s_axi_control_arvalid && s_axi_control_araddr == araddr_q);
    end
    if (done_i) assume (busy_q);
  end

  always_comb if (begun_q && past_q && rst_ni) begin
    if (b_wait_q) a_b_stable: assert (s_axi_control_bvalid && s_axi_control_bresp == bresp_q);
    if (r_wait_q) a_r_stable: assert (s_axi_control_rvalid
        && {s_axi_control_rresp, s_axi_control_rdata} == rdata_q);
    a_b_for_a_write: assert (!s_axi_control_bvalid || (writes_q != '0 && beats_q != '0));
    a_r_for_a_read: assert (!s_axi_control_rvalid || reads_q != '0);
    a_one_write: assert (writes_q <= 2'd1 && beats_q == writes_q);
    a_one_read: assert (reads_q <= 2'd1);
    a_every_write_answered: assert (s_axi_control_bvalid == (writes_q != '0));
    a_every_read_answered: assert (s_axi_control_rvalid == (reads_q != '0));
    if (s_axi_control_awvalid && s_axi_control_wvalid
        && (!s_axi_control_bvalid || s_axi_control_bready)) begin
      a_write_taken: assert (s_axi_control_awready && s_axi_control_wready);
    end
    if (s_axi_control_arvalid && (!s_axi_control_rvalid || s_axi_control_rready)) begin
      a_read_taken: assert (s_axi_control_arready);
    end
    if (write_q) a_write_answered: assert (s_axi_control_bvalid);
    if (ar_q) a_read_answered: assert (s_axi_control_rvalid);
    if (start_o) a_start_when_idle: assert (!busy_before_q && busy_q);
  end

  always_ff @(posedge clk_i) if (begun_q && rst_ni) begin
    c_back_to_back: cover (b && aw);
    c_waiting_read: cover (r_wait_q && r);
    c_started: cover (start_o);
    c_done: cover (done_i);
  end
endmodule

bind ps_axil_regs axil_props u_props (.*);
