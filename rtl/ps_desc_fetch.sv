// Descriptor prefetch: reads the program ahead of the sequencer, a few descriptors at a time.
//
// start_i (re)starts at descriptor index_i and drops what was read; beats of the old stream still
// on their way, and of a request that is taken in that cycle, are ignored.  desc_o is valid with
// valid_o and taken with ready_i.  Nothing is read past count_i descriptors; at_end_o: the one asked
// for lies past them.
module ps_desc_fetch
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        start_i,
  input  logic [31:0] index_i,
  input  logic [63:0] program_i,
  input  logic [31:0] count_i,

  output mem_request_t req_o,
  input  logic        req_ready_i,
  input  logic        rsp_valid_i,
  input  logic [63:0] rsp_data_i,

  output logic        valid_o,
  input  logic        ready_i,
  output desc_t       desc_o,
  output logic [3:0]  beats_o,  // of it that have come, all of them with valid_o
  output logic        at_end_o
);
  localparam int unsigned Depth = 4;  // descriptors ahead
  localparam int unsigned Beats = DESCRIPTOR_BEATS * Depth;

  logic [31:0] next_q;       // descriptor to ask for
  logic [2:0] reserved_q;    // descriptors asked for or buffered, not yet assembled
  logic [2:0] pending_q;     // descriptors asked for whose beats are not all in
  logic [2:0] stale_q;       // of them, those of the old stream
  logic [2:0] rsp_beat_q, beat_q;
  logic active_q, full_q, rsp_last, wanted, request, assembled;
  logic fifo_valid, fifo_take;
  logic [63:0] fifo_data;
  logic [DESCRIPTOR_BEATS-1:0][63:0] words_q;
  /* verilator lint_off UNUSEDSIGNAL */  // room was reserved with the request
  logic fifo_ready;
  logic [$clog2(Beats+1)-1:0] fill;
  /* verilator lint_on UNUSEDSIGNAL */

  // One more, one less: found before it is known which.
  function automatic logic [2:0] moved(logic [2:0] count, logic up, logic down);
    if (up == down) return count;
    if (up) return {count[2] ^ (count[1] & count[0]), count[1] ^ count[0], !count[0]};
    return {count[2] ^ !(count[1] | count[0]), count[1] ^ !count[0], !count[0]};
  endfunction

  // More descriptors to ask for: decided when the one before is.
  logic more_q;
  logic [31:0] last_q;
  always_ff @(posedge clk_i) begin
    last_q <= count_i - 32'd1;
    if (start_i) more_q <= index_i < count_i;
    else if (request) more_q <= next_q != last_q;
  end

  assign wanted      = active_q && more_q && reserved_q < 3'(Depth) && pending_q < 3'(Depth);
  assign req_o       = '{valid: wanted, addr: program_i + {26'd0, next_q, 6'd0},
                         beats: 16'(DESCRIPTOR_BEATS)};
  assign request     = wanted && req_ready_i;
  assign rsp_last    = rsp_valid_i && rsp_beat_q == 3'(DESCRIPTOR_BEATS - 1);
  assign fifo_take   = fifo_valid && !full_q;
  assign assembled   = fifo_take && beat_q == 3'(DESCRIPTOR_BEATS - 1);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      active_q   <= 1'b0;
      full_q     <= 1'b0;
      pending_q  <= '0;
      reserved_q <= '0;
      stale_q    <= '0;
      rsp_beat_q <= '0;
      beat_q     <= '0;
    end else begin
      pending_q <= moved(pending_q, request, rsp_last);
      if (rsp_valid_i) rsp_beat_q <= rsp_beat_q + 3'd1;
      if (start_i) begin
        active_q   <= 1'b1;
        full_q     <= 1'b0;
        beat_q     <= '0;
        reserved_q <= '0;
        stale_q    <= moved(pending_q, request, rsp_last);
      end else begin
        if (rsp_last && stale_q != '0) stale_q <= stale_q - 3'd1;
        reserved_q <= moved(reserved_q, request, assembled);
        if (fifo_take) beat_q <= beat_q + 3'd1;
        if (assembled) full_q <= 1'b1;
        else if (valid_o && ready_i) full_q <= 1'b0;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i) next_q <= index_i;
    else if (request) next_q <= next_q + 32'd1;
    if (fifo_take) words_q[beat_q] <= fifo_data;
  end

  ps_fifo #(.Width(64), .Depth(Beats)) u_fifo (
    .clk_i,
    .rst_ni     (rst_ni && !start_i),
    .in_valid_i (rsp_valid_i && stale_q == '0 && !start_i),
    .in_ready_o (fifo_ready),
    .in_data_i  (rsp_data_i),
    .out_valid_o(fifo_valid),
    .out_ready_i(!full_q),
    .out_data_o (fifo_data),
    .count_o    (fill)
  );

  assign valid_o  = full_q;
  assign desc_o   = words_q;
  assign beats_o  = full_q ? 4'(DESCRIPTOR_BEATS) : {1'b0, beat_q};
  assign at_end_o = active_q && !full_q && reserved_q == '0 && !more_q;
endmodule
