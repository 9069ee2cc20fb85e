// ps_axi_read obeys AXI4 towards any memory, for any clients.
//
// Addresses stay until they are taken; bursts are INCR of at most 16 beats of 8 bytes and stay
// inside 4 KiB; never more than MaxOutstanding are in flight; every beat is consumed when it comes
// and handed to exactly one client in the next cycle; the bursts of a request are its addresses,
// each once, in order.
module axi_read_props #(
  parameter int unsigned NumClients = 2,
  parameter int unsigned MaxOutstanding = 4
) (
  input logic                        clk_i,
  input logic                        rst_ni,
  input logic [NumClients-1:0]       req_valid_i,
  input logic [NumClients-1:0][63:0] req_addr_i,
  input logic [NumClients-1:0][15:0] req_beats_i,
  input logic [NumClients-1:0]       req_ready_o,
  input logic [NumClients-1:0]       rsp_valid_o,
  input logic [63:0]                 rsp_data_o,
  input logic                        flush_i,
  input logic                        busy_o,
  input logic                        error_o,
  input logic [63:0]                 m_axi_araddr,
  input logic [7:0]                  m_axi_arlen,
  input logic [2:0]                  m_axi_arsize,
  input logic [1:0]                  m_axi_arburst,
  input logic                        m_axi_arvalid,
  input logic                        m_axi_arready,
  input logic [63:0]                 m_axi_rdata,
  input logic [1:0]                  m_axi_rresp,
  input logic                        m_axi_rlast,
  input logic                        m_axi_rvalid,
  input logic                        m_axi_rready,
  input logic                        issue,
  input logic                        cur_valid_q,
  input logic [63:0]                 cur_addr_q,
  input logic [15:0]                 cur_beats_q,
  input logic [4:0]                  room_q,
  input logic                        few_q,
  input logic [NumClients-1:0]       cur_client_q,
  input logic                        order_valid,
  input logic [NumClients-1:0]       order_client,
  input logic [$clog2(MaxOutstanding + 1)-1:0] order_count
);
  logic begun_q = 1'b0, past_q = 1'b0;
  logic ar, ar_wait_q, r_q, bad_q, flush_q;
  logic [63:0] araddr_q, rdata_q;
  logic [7:0] arlen_q;
  logic [7:0] flying_q;  // bursts taken by the memory, last beat not yet seen
  logic [NumClients-1:0] req_wait_q, client_q;
  logic [NumClients-1:0][63:0] req_addr_q;
  logic [NumClients-1:0][15:0] req_beats_q;
  // The request being split: what is left of it, and the burst that was issued last.
  logic open_q, issued_q;
  logic [63:0] next_q, burst_addr_q;
  logic [15:0] left_q;

  assign ar = m_axi_arvalid && m_axi_arready;

  // The longest burst from next_q on: to the page's end, 16 beats or the request's end.
  logic [63:0] to_page, burst_bytes;
  logic crossing;
  assign to_page = 64'd4096 - {52'd0, next_q[11:0]};
  assign crossing = to_page < 64'd128;
  always_comb begin
    burst_bytes = crossing ? to_page : 64'd128;
    if (64'({left_q, 3'd0}) < burst_bytes) burst_bytes = 64'({left_q, 3'd0});
  end

  always_ff @(posedge clk_i) begin
    begun_q    <= 1'b1;
    past_q     <= rst_ni;
    flush_q    <= flush_i;
    ar_wait_q  <= m_axi_arvalid && !m_axi_arready;
    araddr_q   <= m_axi_araddr;
    arlen_q    <= m_axi_arlen;
    req_wait_q <= req_valid_i & ~req_ready_o;
    req_addr_q <= req_addr_i;
    req_beats_q <= req_beats_i;
    r_q        <= m_axi_rvalid;
    bad_q      <= m_axi_rvalid && m_axi_rresp != 2'b00;
    rdata_q    <= m_axi_rdata;
    client_q   <= order_client;
    issued_q   <= issue && rst_ni;
    burst_addr_q <= next_q;
    flying_q   <= !rst_ni ? '0 : flying_q + 8'(ar) - 8'(m_axi_rvalid && m_axi_rlast);
    if (!rst_ni) open_q <= 1'b0;
    else if ((req_valid_i & req_ready_o) != '0) begin
      open_q <= 1'b1;
      for (int unsigned c = 0; c < NumClients; c++) if (req_ready_o[c]) begin
        next_q <= req_addr_i[c];
        left_q <= req_beats_i[c];
      end
    end else if (flush_i) open_q <= 1'b0;
    else if (issue) begin
      next_q <= next_q + burst_bytes;
      left_q <= left_q - 16'(burst_bytes >> 3);
      open_q <= left_q != 16'(burst_bytes >> 3);
    end
  end

  always_comb begin
    if (!begun_q) assume (!rst_ni);
    for (int unsigned c = 0; c < NumClients; c++) begin
      if (req_valid_i[c]) assume (req_addr_i[c][2:0] == '0 && req_beats_i[c] != '0);
      if (begun_q && past_q && rst_ni && !flush_q && req_wait_q[c]) begin
        assume (req_valid_i[c] && req_addr_i[c] == req_addr_q[c]
            && req_beats_i[c] == req_beats_q[c]);
      end
    end
    // The memory answers only what it has taken; when and with which burst lengths is its choice.
    if (m_axi_rvalid) assume (flying_q != '0);
  end

  always_comb if (begun_q && past_q && rst_ni) begin
    if (ar_wait_q) a_ar_stable: assert (m_axi_arvalid && m_axi_araddr == araddr_q
        && m_axi_arlen == arlen_q);
    if (m_axi_arvalid) begin
      a_beats: assert (m_axi_arlen <= 8'd15);
      a_page: assert (32'(m_axi_araddr[11:0]) + 8 * (32'(m_axi_arlen) + 1) <= 4096);
      a_aligned: assert (m_axi_araddr[2:0] == '0);
      a_incr: assert (m_axi_arsize == 3'd3 && m_axi_arburst == 2'b01);
    end
    a_counted: assert (8'(order_count) == flying_q + 8'(m_axi_arvalid));
    a_outstanding: assert (32'(flying_q) + 32'(m_axi_arvalid) <= MaxOutstanding);
    a_count: assert (32'(flying_q) <= MaxOutstanding);
    a_consumed: assert (m_axi_rready);
    a_known: assert (!m_axi_rvalid || order_valid);
    if (r_q) a_delivered: assert (rsp_valid_o == client_q && rsp_data_o == rdata_q);
    else a_nothing_else: assert (rsp_valid_o == '0);
    a_error: assert (error_o == bad_q);
    a_busy: assert (busy_o || (flying_q == '0 && !m_axi_arvalid));
    // The splitter walks the request.
    a_open: assert (open_q == cur_valid_q);
    if (open_q) begin
      a_walk: assert (cur_addr_q == next_q && cur_beats_q == left_q && left_q != '0
          && next_q[2:0] == '0);
      a_room: assert (64'(room_q) == (to_page < 64'd128 ? to_page / 64'd8 : 64'd16)
          && few_q == (cur_beats_q < 16'd32));
      a_one_client: assert ($onehot(cur_client_q));
    end
    if (issued_q) a_issued: assert (m_axi_arvalid && m_axi_araddr == burst_addr_q);
  end

  always_ff @(posedge clk_i) if (begun_q && rst_ni) begin
    c_full: cover (32'(flying_q) == MaxOutstanding);
    c_page_end: cover (ar && m_axi_araddr[11:3] == '1);
    c_long: cover (ar && m_axi_arlen == 8'd15);
    c_answer: cover (r_q && !busy_o);
  end
endmodule

bind ps_axi_read axi_read_props #(
  .NumClients(NumClients), .MaxOutstanding(MaxOutstanding)
) u_props (.*);
