// ps_axi_write obeys AXI4 towards any memory, for any request and data.
//
// Addresses and beats stay until they are taken; bursts are INCR of at most 16 beats of 8 bytes
// and stay inside 4 KiB; WLAST stands on the last beat of each and nowhere else; never more than
// MaxOutstanding wait for their response; every response is consumed.  Each beat the client hands
// over goes out once, in order, with all its bytes; what fills up a flushed burst has none.
module axi_write_props #(
  parameter int unsigned MaxOutstanding = 4
) (
  input logic        clk_i,
  input logic        rst_ni,
  input logic        req_valid_i,
  input logic [63:0] req_addr_i,
  input logic [15:0] req_beats_i,
  input logic        req_ready_o,
  input logic        data_valid_i,
  input logic [63:0] data_i,
  input logic        data_ready_o,
  input logic        flush_i,
  input logic        busy_o,
  input logic        error_o,
  input logic [63:0] m_axi_awaddr,
  input logic [7:0]  m_axi_awlen,
  input logic [2:0]  m_axi_awsize,
  input logic [1:0]  m_axi_awburst,
  input logic        m_axi_awvalid,
  input logic        m_axi_awready,
  input logic [63:0] m_axi_wdata,
  input logic [7:0]  m_axi_wstrb,
  input logic        m_axi_wlast,
  input logic        m_axi_wvalid,
  input logic        m_axi_wready,
  input logic [1:0]  m_axi_bresp,
  input logic        m_axi_bvalid,
  input logic        m_axi_bready,
  input logic        open,
  input logic        beat,
  input logic        cur_valid_q,
  input logic [63:0] cur_addr_q,
  input logic [15:0] cur_beats_q,
  input logic [4:0]  left_q,
  input logic [$clog2(MaxOutstanding + 1)-1:0] waiting_q
);
  logic begun_q = 1'b0, past_q = 1'b0;
  logic aw, w, w_end, aw_wait_q, w_wait_q, req_wait_q, data_wait_q, flush_q, taken_q, filled_q, bad_q;
  logic [63:0] awaddr_q, req_addr_q, data_q;
  logic [15:0] req_beats_q;
  logic [7:0] awlen_q;
  logic [72:0] w_q;
  // Bursts whose address the memory has, and bursts whose data it has, without their response.
  logic [7:0] addressed_q, finished_q;
  // Opened bursts whose last beat has not gone out: at most two; beats of the older that have.
  logic [1:0] bursts_q;
  logic [3:0] older_q, newer_q, opened_len;
  logic [4:0] gone_q;
  // The request being split, walked on our own.
  logic [63:0] next_q, to_page, burst_bytes, opened_addr_q;
  logic [15:0] more_q;
  logic opened_q;
  logic [3:0] opened_len_q;

  assign aw = m_axi_awvalid && m_axi_awready;
  assign w = m_axi_wvalid && m_axi_wready;
  assign w_end = w && m_axi_wlast;
  assign to_page = 64'd4096 - {52'd0, next_q[11:0]};
  always_comb begin
    burst_bytes = (to_page < 64'd128) ? to_page : 64'd128;
    if (64'({more_q, 3'd0}) < burst_bytes) burst_bytes = 64'({more_q, 3'd0});
  end
  assign opened_len = 4'((burst_bytes >> 3) - 64'd1);

  always_ff @(posedge clk_i) begin
    begun_q     <= 1'b1;
    past_q      <= rst_ni;
    aw_wait_q   <= m_axi_awvalid && !m_axi_awready;
    w_wait_q    <= m_axi_wvalid && !m_axi_wready;
    req_wait_q  <= req_valid_i && !req_ready_o;
    data_wait_q <= data_valid_i && !data_ready_o;
    flush_q     <= flush_i;
    awaddr_q    <= m_axi_awaddr;
    awlen_q     <= m_axi_awlen;
    w_q         <= {m_axi_wlast, m_axi_wstrb, m_axi_wdata};
    req_addr_q  <= req_addr_i;
    req_beats_q <= req_beats_i;
    data_q      <= data_i;
    taken_q     <= data_valid_i && data_ready_o;
    filled_q    <= beat && !(data_valid_i && data_ready_o);
    bad_q       <= m_axi_bvalid && m_axi_bresp != 2'b00;
    opened_q    <= open && rst_ni;
    opened_addr_q <= next_q;
    if (open) opened_len_q <= opened_len;
    if (!rst_ni) begin
      addressed_q <= '0;
      finished_q  <= '0;
      bursts_q    <= '0;
      gone_q      <= '0;
    end else begin
      addressed_q <= addressed_q + 8'(aw) - 8'(m_axi_bvalid);
      finished_q  <= finished_q + 8'(w_end) - 8'(m_axi_bvalid);
      bursts_q    <= bursts_q + 2'(open) - 2'(w_end);
      gone_q      <= w_end ? '0 : gone_q + 5'(w);
    end
    if (w_end) older_q <= newer_q;
    if (open && bursts_q == 2'(w_end)) older_q <= opened_len;
    else if (open) newer_q <= opened_len;
    if (req_valid_i && req_ready_o) begin
      next_q <= req_addr_i;
      more_q <= req_beats_i;
    end else if (open) begin
      next_q <= next_q + burst_bytes;
      more_q <= more_q - 16'(burst_bytes >> 3);
    end
  end

  always_comb begin
    if (!begun_q) assume (!rst_ni);
    if (req_valid_i) assume (req_addr_i[2:0] == '0 && req_beats_i != '0);
    if (begun_q && past_q && rst_ni && !flush_q) begin
      if (req_wait_q) assume (req_valid_i && req_addr_i == req_addr_q
          && req_beats_i == req_beats_q);
      if (data_wait_q) assume (data_valid_i && data_i == data_q);
    end
    // A response comes only after the address and the last beat of its burst.
    if (m_axi_bvalid) assume (addressed_q != '0 && finished_q != '0);
  end

  always_comb if (begun_q && past_q && rst_ni) begin
    if (aw_wait_q) a_aw_stable: assert (m_axi_awvalid && m_axi_awaddr == awaddr_q
        && m_axi_awlen == awlen_q);
    if (w_wait_q) a_w_stable: assert (m_axi_wvalid
        && {m_axi_wlast, m_axi_wstrb, m_axi_wdata} == w_q);
    if (m_axi_awvalid) begin
      a_beats: assert (m_axi_awlen <= 8'd15);
      a_page: assert (32'(m_axi_awaddr[11:0]) + 8 * (32'(m_axi_awlen) + 1) <= 4096);
      a_aligned: assert (m_axi_awaddr[2:0] == '0);
      a_incr: assert (m_axi_awsize == 3'd3 && m_axi_awburst == 2'b01);
      a_length: assert (m_axi_awlen == {4'd0, opened_len_q});
    end
    if (m_axi_wvalid) a_last: assert (m_axi_wlast == (gone_q == {1'b0, older_q}));
    a_outstanding: assert (32'(waiting_q) <= MaxOutstanding);
    a_addressed: assert (8'(waiting_q) == addressed_q + 8'(m_axi_awvalid));
    a_finished: assert (8'(waiting_q) == finished_q + 8'(bursts_q));
    a_counts: assert (32'(addressed_q) <= MaxOutstanding && 32'(finished_q) <= MaxOutstanding);
    a_consumed: assert (m_axi_bready);
    a_busy: assert (busy_o || (addressed_q == '0 && finished_q == '0 && !m_axi_awvalid
        && !m_axi_wvalid));
    a_error: assert (error_o == bad_q);
    if (taken_q) a_out: assert (m_axi_wvalid && m_axi_wdata == data_q && m_axi_wstrb == 8'hFF);
    if (filled_q) a_empty: assert (m_axi_wvalid && m_axi_wstrb == 8'h00);
    // What is open: the beats that have gone, the one on the port, and those to come make a burst.
    a_two: assert (bursts_q <= 2'd2);
    if (bursts_q == 2'd0) a_none: assert (!m_axi_wvalid && left_q == '0 && gone_q == '0);
    if (bursts_q == 2'd1) a_one: assert (32'(gone_q) + 32'(m_axi_wvalid) + 32'(left_q)
        == 32'(older_q) + 1);
    if (bursts_q != '0) a_not_gone: assert (gone_q <= {1'b0, older_q});
    if (bursts_q == 2'd2) a_next: assert (m_axi_wvalid && gone_q == {1'b0, older_q}
        && 32'(left_q) == 32'(newer_q) + 1);
    if (bursts_q != '0) a_newest: assert (opened_len_q == (bursts_q == 2'd2 ? newer_q : older_q));
    // The splitter walks the request.
    if (cur_valid_q) a_walk: assert (cur_addr_q == next_q && cur_beats_q == more_q
        && more_q != '0 && next_q[2:0] == '0);
    if (opened_q) a_opened: assert (m_axi_awvalid && m_axi_awaddr == opened_addr_q);
  end

  always_ff @(posedge clk_i) if (begun_q && rst_ni) begin
    c_full: cover (32'(waiting_q) == MaxOutstanding);
    c_page_end: cover (aw && m_axi_awaddr[11:3] == '1);
    c_data_first: cover (w_end && m_axi_awvalid && !m_axi_awready);
    c_filled: cover (w_end && m_axi_wstrb == 8'h00);
    c_answer: cover (m_axi_bvalid && !error_o && bad_q == 1'b0 && waiting_q == 1);
  end
endmodule

bind ps_axi_write axi_write_props #(.MaxOutstanding(MaxOutstanding)) u_props (.*);
