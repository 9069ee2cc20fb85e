// AXI4 read master: several request ports, one stream of 64-bit beats back.
//
// A request (address, beats) is taken in a cycle with req_valid_i[c] && req_ready_o[c]; where
// several clients ask, the lowest index wins and holds the port until all bursts of its request
// are issued.  Addresses are multiples of 8, req_beats_i >= 1.  A request is split into INCR
// bursts of at most 16 beats that never cross 4 KiB; one burst is issued a cycle while AR is
// ready and fewer than MaxOutstanding are in flight, so a request of one burst costs one cycle.
//
// Data returns in the order in which requests were taken (single ID): rsp_valid_o is one-hot over
// the clients, rsp_last_o marks the last beat of the whole request.  Clients take every beat:
// m_axi_rready is 1.  Latency: request to AR 2 cycles, R to rsp 1 cycle (both registered).
// error_o is a pulse with each beat whose RRESP is not OKAY; its data is delivered all the same.
//
// flush_i (hold it until busy_o is 0): no request is taken, what is left of the current one is
// dropped, no further burst is issued.  Bursts already on AR complete and their beats are
// delivered; rsp_last_o comes only for requests that were issued completely.
// busy_o: a request is being split, a burst is outstanding, or a beat is on its way to a client.
module ps_axi_read #(
  parameter int unsigned NumClients = 2,
  parameter int unsigned MaxOutstanding = 4
) (
  input  logic                        clk_i,
  input  logic                        rst_ni,

  input  logic [NumClients-1:0]       req_valid_i,
  input  logic [NumClients-1:0][63:0] req_addr_i,
  input  logic [NumClients-1:0][15:0] req_beats_i,
  output logic [NumClients-1:0]       req_ready_o,

  output logic [NumClients-1:0]       rsp_valid_o,
  output logic [63:0]                 rsp_data_o,
  output logic                        rsp_last_o,

  input  logic                        flush_i,
  output logic                        busy_o,
  output logic                        error_o,

  output logic [0:0]                  m_axi_arid,
  output logic [63:0]                 m_axi_araddr,
  output logic [7:0]                  m_axi_arlen,
  output logic [2:0]                  m_axi_arsize,
  output logic [1:0]                  m_axi_arburst,
  output logic [0:0]                  m_axi_arlock,
  output logic [3:0]                  m_axi_arcache,
  output logic [2:0]                  m_axi_arprot,
  output logic [3:0]                  m_axi_arqos,
  output logic                        m_axi_arvalid,
  input  logic                        m_axi_arready,
  input  logic [0:0]                  m_axi_rid,
  input  logic [63:0]                 m_axi_rdata,
  input  logic [1:0]                  m_axi_rresp,
  input  logic                        m_axi_rlast,
  input  logic                        m_axi_rvalid,
  output logic                        m_axi_rready
);
  // AXI3 HP ports take at most 16 beats: 128 bytes, which divide 4 KiB.
  localparam logic [4:0] MAX_BURST = 5'd16;
  localparam logic [1:0] RESP_OKAY = 2'b00;

  // ---- the request being split
  logic                  cur_valid_q;
  logic [63:0]           cur_addr_q;
  logic [15:0]           cur_beats_q;
  logic [NumClients-1:0] cur_client_q;
  logic [NumClients-1:0] grant;
  logic [63:0]           grant_addr;
  logic [15:0]           grant_beats;
  logic                  take, issue, issue_last;

  always_comb begin
    grant       = '0;
    grant_addr  = req_addr_i[0];
    grant_beats = req_beats_i[0];
    for (int unsigned c = 0; c < NumClients; c++) begin
      if (req_valid_i[c] && grant == '0) begin
        grant[c]    = 1'b1;
        grant_addr  = req_addr_i[c];
        grant_beats = req_beats_i[c];
      end
    end
  end

  assign take = (!cur_valid_q || (issue && issue_last)) && !flush_i;
  assign req_ready_o = take ? grant : '0;

  // ---- the next burst of it
  logic [4:0] room_q, burst;  // beats to the 4 KiB boundary (saturated), beats of this burst
  logic [15:0] left;
  logic       few_q;        // fewer than 32 beats are left
  logic       ar_free, order_ready, page_end;
  logic [8:0] in_page;      // where the next burst begins; that of the next 4 KiB, if it does
  logic [51:0] next_page;
  logic       ar_valid_q;
  logic [63:0] ar_addr_q;
  logic [3:0]  ar_len_q;

  // Found with the address, for the burst behind this one too: that begins the next 4 KiB, or this
  // one has all of its beats.
  function automatic logic [4:0] room_of(logic last_part, logic [3:0] beat);
    return last_part ? MAX_BURST - {1'b0, beat} : MAX_BURST;
  endfunction

  always_ff @(posedge clk_i) begin
    if (take) begin
      room_q <= room_of(&grant_addr[11:7], grant_addr[6:3]);
      few_q  <= grant_beats[15:5] == '0;
    end else if (issue) begin
      room_q <= room_of(cur_addr_q[11:7] == 5'd30, cur_addr_q[6:3]);
      few_q  <= left[15:5] == '0;
    end
  end

  assign left = cur_beats_q - 16'(room_q);  // behind a burst that is not the last one

  assign issue_last = few_q && cur_beats_q[4:0] <= room_q;
  assign burst      = issue_last ? cur_beats_q[4:0] : room_q;
  assign {page_end, in_page} = {1'b0, cur_addr_q[11:3]} + 10'(burst);
  assign next_page  = cur_addr_q[63:12] + 52'd1;
  assign ar_free    = !ar_valid_q || m_axi_arready;
  assign issue      = cur_valid_q && ar_free && order_ready && !flush_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) cur_valid_q <= 1'b0;
    else if (take) cur_valid_q <= (req_valid_i != '0);
    else if (flush_i) cur_valid_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      cur_addr_q   <= grant_addr;
      cur_beats_q  <= grant_beats;
      cur_client_q <= grant;
    end else if (issue) begin
      cur_addr_q  <= {page_end ? next_page : cur_addr_q[63:12], in_page, 3'd0};
      cur_beats_q <= left;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) ar_valid_q <= 1'b0;
    else if (ar_free) ar_valid_q <= issue;
  end

  always_ff @(posedge clk_i) begin
    if (issue) begin
      ar_addr_q <= cur_addr_q;
      ar_len_q  <= 4'(burst - 5'd1);
    end
  end

  assign m_axi_arid    = '0;
  assign m_axi_araddr  = ar_addr_q;
  assign m_axi_arlen   = {4'd0, ar_len_q};
  assign m_axi_arsize  = 3'd3;
  assign m_axi_arburst = 2'b01;
  assign m_axi_arlock  = '0;
  assign m_axi_arcache = 4'b0011;
  assign m_axi_arprot  = '0;
  assign m_axi_arqos   = '0;
  assign m_axi_arvalid = ar_valid_q;

  // ---- who gets the answers, one entry a burst in flight
  localparam int unsigned OrderCountWidth = $clog2(MaxOutstanding + 1);
  logic                       order_valid, order_last, order_pop;
  logic [NumClients-1:0]      order_client;
  logic [OrderCountWidth-1:0] order_count;

  assign order_pop = m_axi_rvalid && m_axi_rlast;

  ps_fifo #(
    .Width(NumClients + 1),
    .Depth(MaxOutstanding)
  ) u_order (
    .clk_i      (clk_i),
    .rst_ni     (rst_ni),
    .in_valid_i (issue),
    .in_ready_o (order_ready),
    .in_data_i  ({cur_client_q, issue_last}),
    .out_valid_o(order_valid),
    .out_ready_i(order_pop),
    .out_data_o ({order_client, order_last}),
    .count_o    (order_count)
  );

  // ---- responses
  logic [NumClients-1:0] rsp_valid_q;
  logic                  error_q, rsp_last_q;
  logic [63:0]           rsp_data_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      rsp_valid_q <= '0;
      error_q     <= 1'b0;
    end else begin
      rsp_valid_q <= m_axi_rvalid ? order_client : '0;
      error_q     <= m_axi_rvalid && (m_axi_rresp != RESP_OKAY);
    end
  end

  always_ff @(posedge clk_i) begin
    rsp_data_q <= m_axi_rdata;
    rsp_last_q <= m_axi_rlast && order_last;
  end

  assign m_axi_rready = 1'b1;
  assign rsp_valid_o  = rsp_valid_q;
  assign rsp_data_o   = rsp_data_q;
  assign rsp_last_o   = rsp_last_q;
  assign error_o      = error_q;
  assign busy_o       = cur_valid_q || order_valid || (rsp_valid_q != '0);

  // A single ID: RID is always 0.  The count is for the assertions only.
  logic unused;
  assign unused = ^{m_axi_rid, order_count};

`ifndef SYNTHESIS
  for (genvar c = 0; c < int'(NumClients); c++) begin : g_check
    assert property (@(posedge clk_i) disable iff (!rst_ni)
        req_valid_i[c] |-> req_addr_i[c][2:0] == '0 && req_beats_i[c] != '0)
      else $error("ps_axi_read: client %0d: unaligned or empty request", c);
    assert property (@(posedge clk_i) disable iff (!rst_ni || flush_i)
        req_valid_i[c] && !req_ready_o[c] |=>
        req_valid_i[c] && $stable(req_addr_i[c]) && $stable(req_beats_i[c]))
      else $error("ps_axi_read: client %0d: request changed while stalled", c);
  end
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      m_axi_arvalid && !m_axi_arready |=>
      m_axi_arvalid && $stable(m_axi_araddr) && $stable(m_axi_arlen))
    else $error("ps_axi_read: AR changed while stalled");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      m_axi_arvalid |->
      13'(m_axi_araddr[11:0]) + {6'd0, m_axi_arlen[3:0], 3'd0} < 13'h1000)
    else $error("ps_axi_read: burst crosses 4 KiB");
  assert property (@(posedge clk_i) disable iff (!rst_ni) m_axi_rvalid |-> order_valid)
    else $error("ps_axi_read: data nobody asked for");
  assert property (@(posedge clk_i) disable iff (!rst_ni) $onehot0(rsp_valid_o))
    else $error("ps_axi_read: two clients answered at once");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      order_count <= OrderCountWidth'(MaxOutstanding))
    else $error("ps_axi_read: too many bursts in flight");
`endif
endmodule
