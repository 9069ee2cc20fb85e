// LOAD, GLOAD, STORE and the counter record of HALT: bytes between DDR and the on-chip memories.
// A GLOAD of a table writes that, from its first byte on, in the place of the gate memory.
//
// start_i latches what to move; busy_o until the last beat is written: into a memory, by a STORE to
// the write master, by a record to DDR, when that master has answered for it and all before it.  The
// descriptor's ranges were checked before (ps_check); record_i moves the counters to the head of the
// output record.
// Loads: one read of all beats; each beat is one write of up to 8 bytes.  Stores: a beat a cycle
// from feature memory (latency 3) or scores (latency 1), through a FIFO that absorbs what is in
// flight.
module ps_load_store
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              start_i,
  input  logic              record_i,
  /* verilator lint_off UNUSEDSIGNAL */  // each unit uses its own fields of a descriptor
  input  desc_t             desc_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic [63:0]       input_i,       // of the current image
  input  logic [63:0]       output_i,
  input  logic [63:0]       weights_i,
  input  logic [N_COUNTERS-1:0][31:0] counters_i,
  output logic              busy_o,
  output logic              store_beat_o,  // a beat of a STORE is accepted
  output logic              storing_o,     // score_addr_o counts, from the next cycle on

  output mem_request_t      rd_req_o,
  input  logic              rd_req_ready_i,
  input  logic              rd_valid_i,
  input  logic [63:0]       rd_data_i,

  output mem_request_t      wr_req_o,
  input  logic              wr_req_ready_i,
  output logic              wr_valid_o,
  output logic [63:0]       wr_data_o,
  input  logic              wr_ready_i,
  input  logic              wr_busy_i,

  output gate_write_t       gmem_o,
  output table_write_t      table_o,
  output access_t           access_o,      // feature memory, port B
  output logic [FA_W-1:0]   mem_rd_addr_o, // feature memory, port A
  input  logic [7:0][7:0]   mem_rd_data_i,
  output logic [SA_W-1:0]   score_addr_o,
  input  logic [63:0]       score_word_i
);
  localparam int unsigned Depth = 8;
  localparam int unsigned Latency = 3;

  typedef enum logic [2:0] {Idle, LoadRequest, Load, StoreRequest, Store, Drain} state_e;
  typedef enum logic [1:0] {Memory, Scores, Counters} source_e;
  state_e state_q;
  source_e source_q;
  logic gate_memory_q, is_table, table_q;
  logic [31:0] left_q;     // bytes still to move
  logic [63:0] addr_q;
  logic [31:0] local_q;    // on-chip address
  logic [15:0] beats_q;
  logic [7:0] lanes, last_lanes_q;
  logic beat_last, issue, drained;

  // The last beat is known before it comes: a request lies between the start and the first one.
  logic move;
  assign move = (state_q == Load && rd_valid_i) || issue;
  always_ff @(posedge clk_i) begin
    beat_last    <= left_q <= (move ? 32'd16 : 32'd8);
    last_lanes_q <= (left_q[2:0] == '0) ? 8'hFF : ~(8'hFF << left_q[2:0]);
  end
  assign lanes = beat_last ? last_lanes_q : 8'hFF;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
    end else begin
      unique case (state_q)
        Idle: begin
          if (record_i) state_q <= StoreRequest;
          else if (start_i) state_q <= desc_i.op == OP_STORE ? StoreRequest : LoadRequest;
        end
        LoadRequest:  if (rd_req_ready_i) state_q <= Load;
        Load:         if (rd_valid_i && beat_last) state_q <= Idle;
        StoreRequest: if (wr_req_ready_i) state_q <= Store;
        Store:        if (issue && beat_last) state_q <= Drain;
        Drain:        if (drained) state_q <= Idle;
        default:      state_q <= Idle;
      endcase
    end
  end

  assign is_table = desc_i.op == OP_GLOAD && desc_i.variant == GLOAD_TABLE;
  always_ff @(posedge clk_i) begin
    if (state_q == Idle) begin
      table_q       <= is_table;
      gate_memory_q <= desc_i.op == OP_GLOAD;
      source_q <= record_i ? Counters : desc_i.from_scores ? Scores : Memory;
      left_q   <= record_i ? 32'(4 * N_COUNTERS) : desc_i.length;
      beats_q  <= record_i ? 16'(N_COUNTERS / 2) : 16'((desc_i.length + 32'd7) >> 3);
      local_q  <= record_i || is_table ? '0 : desc_i.op == OP_STORE ? desc_i.src : desc_i.dst;
      if (record_i) addr_q <= output_i;
      else if (desc_i.op == OP_STORE) addr_q <= output_i + 64'(desc_i.ddr);
      else if (desc_i.op == OP_GLOAD) addr_q <= weights_i + 64'(desc_i.w_addr);
      else addr_q <= input_i + 64'(desc_i.ddr);
    end else if (move) begin
      left_q  <= left_q - 32'd8;
      local_q <= local_q + 32'd8;
    end
  end

  // ---- loads
  logic loaded;
  assign loaded   = state_q == Load && rd_valid_i;
  assign rd_req_o = '{valid: state_q == LoadRequest, addr: addr_q, beats: beats_q};
  assign table_o  = '{valid: loaded && table_q, word: local_q[$clog2(TABLE_BYTES)-1:3],
                      data: rd_data_i};
  assign gmem_o   = '{valid: loaded && gate_memory_q && !table_q, addr: local_q[GA_W+2:3], data: rd_data_i};
  assign access_o = '{read: 1'b0, addr: local_q[FA_W-1:0],
                      mask: loaded && !gate_memory_q ? FB'(lanes) : '0, data: (8*FB)'(rd_data_i)};

  // ---- stores
  logic fifo_ready, fifo_valid;
  logic [3:0] fill;
  logic [Latency-1:0] valid_q;
  logic [Latency-1:0][7:0] lanes_q;
  logic [Latency-1:0][2:0] pair_q;  // pair of counters
  logic [63:0] data, masked;
  logic [63:0] score_q1, score_q2;

  assign wr_req_o       = '{valid: state_q == StoreRequest, addr: addr_q, beats: beats_q};
  assign mem_rd_addr_o  = local_q[FA_W-1:0];
  assign score_addr_o   = local_q[SA_W-1:0];
  assign issue = state_q == Store && fill + 4'(valid_q[0]) + 4'(valid_q[1]) + 4'(valid_q[2])
      < 4'(Depth);
  assign drained = valid_q == '0 && !fifo_valid && !(wr_busy_i && source_q == Counters);

  always_ff @(posedge clk_i) begin
    valid_q  <= rst_ni ? {valid_q[Latency-2:0], issue} : '0;
    lanes_q  <= {lanes_q[Latency-2:0], lanes};
    pair_q   <= {pair_q[Latency-2:0], local_q[5:3]};
    score_q1 <= score_word_i;
    score_q2 <= score_q1;
  end

  always_comb begin
    unique case (source_q)
      Scores:   data = score_q2;
      Counters: data = {counters_i[{pair_q[Latency-1], 1'b1}],
                        counters_i[{pair_q[Latency-1], 1'b0}]};
      default:  data = mem_rd_data_i;
    endcase
    masked = '0;
    if (valid_q[Latency-1]) begin
      for (int i = 0; i < 8; i++) masked[8*i+:8] = lanes_q[Latency-1][i] ? data[8*i+:8] : 8'h00;
    end
  end

  ps_fifo #(.Width(64), .Depth(Depth)) u_fifo (
    .clk_i,
    .rst_ni,
    .in_valid_i (valid_q[Latency-1]),
    .in_ready_o (fifo_ready),
    .in_data_i  (masked),
    .out_valid_o(fifo_valid),
    .out_ready_i(wr_ready_i),
    .out_data_o (wr_data_o),
    .count_o    (fill)
  );

  assign wr_valid_o = fifo_valid;
  assign store_beat_o = fifo_valid && wr_ready_i && source_q != Counters;
  assign storing_o = state_q == StoreRequest || state_q == Store;
  assign busy_o = state_q != Idle;

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) valid_q[Latency-1] |-> fifo_ready)
    else $error("ps_load_store: beat lost");
`endif
endmodule
