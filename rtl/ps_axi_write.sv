// AXI4 write master: one request port and one stream of 64-bit beats.
//
// A request (address, beats) is taken in a cycle with req_valid_i && req_ready_o; the next
// req_beats_i beats taken with data_valid_i && data_ready_o belong to it.  Addresses are
// multiples of 8, req_beats_i >= 1, every beat is written whole.  The request is split into INCR
// bursts of at most 16 beats that never cross 4 KiB.  A burst is opened (AW) only when its first
// beat is there, which costs one cycle a burst; then one beat a cycle.  W of a burst may be
// accepted before its AW.  data_ready_o is 0 outside a burst.
//
// busy_o: from the request until every B is in.  error_o: a pulse for each BRESP that is not OKAY.
//
// flush_i (a pulse is enough): what is left of the request is dropped, no further burst is
// opened; a burst that is open is filled up with beats of WSTRB = 0 without waiting for data.
// Beats of a dropped request must not be offered any more.
module ps_axi_write #(
  parameter int unsigned MaxOutstanding = 4
) (
  input  logic        clk_i,
  input  logic        rst_ni,

  input  logic        req_valid_i,
  input  logic [63:0] req_addr_i,
  input  logic [15:0] req_beats_i,
  output logic        req_ready_o,

  input  logic        data_valid_i,
  input  logic [63:0] data_i,
  output logic        data_ready_o,

  input  logic        flush_i,
  output logic        busy_o,
  output logic        error_o,

  output logic [0:0]  m_axi_awid,
  output logic [63:0] m_axi_awaddr,
  output logic [7:0]  m_axi_awlen,
  output logic [2:0]  m_axi_awsize,
  output logic [1:0]  m_axi_awburst,
  output logic [0:0]  m_axi_awlock,
  output logic [3:0]  m_axi_awcache,
  output logic [2:0]  m_axi_awprot,
  output logic [3:0]  m_axi_awqos,
  output logic        m_axi_awvalid,
  input  logic        m_axi_awready,
  output logic [63:0] m_axi_wdata,
  output logic [7:0]  m_axi_wstrb,
  output logic        m_axi_wlast,
  output logic        m_axi_wvalid,
  input  logic        m_axi_wready,
  input  logic [0:0]  m_axi_bid,
  input  logic [1:0]  m_axi_bresp,
  input  logic        m_axi_bvalid,
  output logic        m_axi_bready
);
  localparam logic [4:0] MAX_BURST = 5'd16;
  localparam logic [1:0] RESP_OKAY = 2'b00;
  localparam int unsigned CountWidth = $clog2(MaxOutstanding + 1);

  // ---- the request being split
  logic        cur_valid_q;
  logic [63:0] cur_addr_q;
  logic [15:0] cur_beats_q;
  logic [4:0]  room, burst;  // beats to the 4 KiB boundary (saturated), beats of this burst
  logic        take, open, open_last;

  // ---- the open burst
  logic [4:0]            left_q;   // beats it still needs; 0 = none open
  logic                  pad_q;    // flushed: fill it up
  logic                  padding, beat;
  logic                  aw_valid_q, w_valid_q, w_last_q, error_q;
  logic [63:0]           aw_addr_q, w_data_q;
  logic [3:0]            aw_len_q;
  logic [7:0]            w_strb_q;
  logic                  aw_free, w_free;
  logic [CountWidth-1:0] waiting_q;  // bursts without B

  // The next burst is worked out in the cycle after the request or the burst before it.
  logic known_q, open_last_q;
  logic [4:0] burst_q;
  assign room = (&cur_addr_q[11:7]) ? MAX_BURST - {1'b0, cur_addr_q[6:3]} : MAX_BURST;

  always_ff @(posedge clk_i) begin
    known_q     <= rst_ni && !take && !open;
    burst_q     <= (cur_beats_q < 16'(room)) ? cur_beats_q[4:0] : room;
    open_last_q <= cur_beats_q <= 16'(room);
  end
  assign burst     = burst_q;
  assign open_last = open_last_q;

  assign aw_free = !aw_valid_q || m_axi_awready;
  assign w_free  = !w_valid_q || m_axi_wready;
  assign open    = cur_valid_q && known_q && left_q == '0 && data_valid_i && aw_free && !flush_i &&
                   waiting_q != CountWidth'(MaxOutstanding);

  assign take        = (!cur_valid_q || (open && open_last)) && !flush_i;
  assign req_ready_o = take;

  assign padding      = pad_q || flush_i;
  assign data_ready_o = left_q != '0 && w_free && !padding;
  assign beat         = left_q != '0 && w_free && (padding || data_valid_i);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) cur_valid_q <= 1'b0;
    else if (flush_i) cur_valid_q <= 1'b0;
    else if (take) cur_valid_q <= req_valid_i;
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      cur_addr_q  <= req_addr_i;
      cur_beats_q <= req_beats_i;
    end else if (open) begin
      cur_addr_q  <= cur_addr_q + {56'd0, burst, 3'd0};
      cur_beats_q <= cur_beats_q - 16'(burst);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      left_q     <= '0;
      pad_q      <= 1'b0;
      aw_valid_q <= 1'b0;
      w_valid_q  <= 1'b0;
      error_q    <= 1'b0;
      waiting_q  <= '0;
    end else begin
      if (open) left_q <= burst;
      else if (beat) left_q <= left_q - 5'd1;

      if (left_q == '0 || (beat && left_q == 5'd1)) pad_q <= 1'b0;
      else if (flush_i) pad_q <= 1'b1;

      if (aw_free) aw_valid_q <= open;
      if (w_free) w_valid_q <= beat;

      if (open && !m_axi_bvalid) waiting_q <= waiting_q + CountWidth'(1);
      if (!open && m_axi_bvalid) waiting_q <= waiting_q - CountWidth'(1);
      error_q <= m_axi_bvalid && m_axi_bresp != RESP_OKAY;
    end
  end

  always_ff @(posedge clk_i) begin
    if (open) begin
      aw_addr_q <= cur_addr_q;
      aw_len_q  <= 4'(burst - 5'd1);
    end
    if (beat) begin
      w_data_q <= data_i;
      w_strb_q <= padding ? 8'h00 : 8'hFF;
      w_last_q <= left_q == 5'd1;
    end
  end

  assign m_axi_awid    = '0;
  assign m_axi_awaddr  = aw_addr_q;
  assign m_axi_awlen   = {4'd0, aw_len_q};
  assign m_axi_awsize  = 3'd3;
  assign m_axi_awburst = 2'b01;
  assign m_axi_awlock  = '0;
  assign m_axi_awcache = 4'b0011;
  assign m_axi_awprot  = '0;
  assign m_axi_awqos   = '0;
  assign m_axi_awvalid = aw_valid_q;
  assign m_axi_wdata   = w_data_q;
  assign m_axi_wstrb   = w_strb_q;
  assign m_axi_wlast   = w_last_q;
  assign m_axi_wvalid  = w_valid_q;
  assign m_axi_bready  = 1'b1;

  assign busy_o  = cur_valid_q || left_q != '0 || waiting_q != '0 || error_q;
  assign error_o = error_q;

  // A single ID: BID is always 0.
  logic unused_bid;
  assign unused_bid = ^m_axi_bid;

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      req_valid_i |-> req_addr_i[2:0] == '0 && req_beats_i != '0)
    else $error("ps_axi_write: unaligned or empty request");
  assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
      req_valid_i && !req_ready_o |=>
      req_valid_i && $stable(req_addr_i) && $stable(req_beats_i))
    else $error("ps_axi_write: request changed while stalled");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      m_axi_awvalid && !m_axi_awready |=>
      m_axi_awvalid && $stable(m_axi_awaddr) && $stable(m_axi_awlen))
    else $error("ps_axi_write: AW changed while stalled");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      m_axi_wvalid && !m_axi_wready |=> m_axi_wvalid && $stable(m_axi_wdata) &&
      $stable(m_axi_wstrb) && $stable(m_axi_wlast))
    else $error("ps_axi_write: W changed while stalled");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      m_axi_awvalid |->
      13'(m_axi_awaddr[11:0]) + {6'd0, m_axi_awlen[3:0], 3'd0} < 13'h1000)
    else $error("ps_axi_write: burst crosses 4 KiB");
  assert property (@(posedge clk_i) disable iff (!rst_ni) m_axi_bvalid |-> waiting_q != '0)
    else $error("ps_axi_write: B nobody waits for");
`endif
endmodule
