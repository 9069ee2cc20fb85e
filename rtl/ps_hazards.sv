// What ps_interlock promises, watched in every simulation: no unit reads or writes feature memory,
// scores or lists that another unit, still at work on an earlier or a later descriptor, writes.
//
// Footprints are ranges of addresses, from the descriptor at a unit's start.  A unit that starts
// may meet none of a unit that is busy, since it may read and write from then on; a GATE or DENSE,
// which starts early and waits with its results, is looked at when it writes each of them.
// Not in hardware: the file is empty for synthesis.  What ps_gate_unit reads of the pooled sums it
// watches itself.
`ifndef SYNTHESIS
module ps_hazards
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic            clk_i,
  input  logic            rst_ni,
  /* verilator lint_off UNUSEDSIGNAL */  // the fields that say where an operation works
  input  desc_t           desc_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic [19:0]     out_pixels_i,
  /* verilator lint_off UNUSEDSIGNAL */  // a GATE writes what is looked at
  input  starts_t         starts_i,
  input  busy_t           busy_i,
  input  access_t         dense_i,          // what the gate unit writes
  input  score_write_t    score_i,
  input  list_write_t     list_i
  /* verilator lint_on UNUSEDSIGNAL */
);
  // Bytes lo .. hi - 1; none if equal.
  typedef struct packed {
    logic [31:0] lo;
    logic [31:0] hi;
  } span_t;

  typedef enum logic [1:0] {Conv, Copy, Move, Exit} unit_e;
  localparam int unsigned Units = 4;

  function automatic logic meet(span_t a, span_t b);
    return a.lo < b.hi && b.lo < a.hi;
  endfunction

  function automatic span_t map(logic [31:0] base, logic [15:0] count, logic [31:0] stride,
                                logic [31:0] plane);
    return count == '0 ? '0 : '{lo: base, hi: base + (32'(count) - 32'd1) * stride + plane};
  endfunction

  // ---- of the descriptor that starts
  logic [31:0] pixels, made, planes;
  logic [15:0] channels;
  span_t reads, writes, old;

  assign pixels = desc_i.height * desc_i.width;
  assign made = 32'(out_pixels_i);
  assign planes = 32'd3 * 32'(desc_i.phase_stride) + made;
  assign channels = desc_i.op == OP_CONV ? desc_i.cin : desc_i.cout;

  always_comb begin
    reads  = '0;
    writes = '0;
    unique case (desc_i.op)
      OP_CONV: begin
        reads  = map(desc_i.src, channels, desc_i.src_stride, desc_i.polyphase ? planes : pixels);
        writes = map(desc_i.dst, desc_i.cout, desc_i.dst_stride, made);
      end
      OP_COPY: begin
        reads  = map(desc_i.src, channels, desc_i.src_stride, pixels);
        writes = map(desc_i.dst, desc_i.cout, desc_i.dst_stride, planes);
      end
      OP_POOL: begin
        reads  = map(desc_i.src, channels, desc_i.src_stride, pixels);
        writes = map(desc_i.dst, desc_i.cout, desc_i.dst_stride, made);
      end
      OP_LOAD:    writes = '{lo: desc_i.dst, hi: desc_i.dst + desc_i.length};
      OP_STORE:   if (!desc_i.from_scores) reads = '{lo: desc_i.src, hi: desc_i.src + desc_i.length};
      OP_EXIT_IF: reads = map(desc_i.src, desc_i.cin, desc_i.src_stride, 32'd1);
      default: ;
    endcase
    // A convolution in place reads what it writes.
    old = desc_i.op == OP_CONV && desc_i.res_en ? writes : '0;
  end

  // ---- of the units at work
  logic [Units-1:0] starts, busy;
  span_t [Units-1:0] reads_q, writes_q, old_q;
  span_t fold_q;
  logic [1:0] listed_q, fetch_listed_q;           // input, output list
  logic [1:0][LI_W-1:0] list_q, fetch_list_q;

  assign starts = {starts_i.exits, starts_i.move, starts_i.copy, starts_i.conv};
  assign busy   = {busy_i.exits, busy_i.move, busy_i.copy || busy_i.pool,
                   busy_i.conv || busy_i.drain};

  always_ff @(posedge clk_i) begin
    for (int unsigned u = 0; u < Units; u++) begin
      if (starts[u]) begin
        reads_q[u]  <= reads;
        writes_q[u] <= writes;
        old_q[u]    <= old;
      end
    end
    if (starts_i.fetch) begin
      fold_q <= map(32'(desc_i.fold_slot), 16'(desc_i.fold_en),
                    '0, desc_i.fold_channel ? 32'(desc_i.cout) : 32'd1);
      fetch_listed_q <= {desc_i.out_list != ALL_CHANNELS, desc_i.in_list != ALL_CHANNELS};
      fetch_list_q   <= {desc_i.out_list[LI_W-1:0], desc_i.in_list[LI_W-1:0]};
    end
    if (starts_i.conv) begin
      listed_q <= {desc_i.out_list != ALL_CHANNELS, desc_i.in_list != ALL_CHANNELS};
      list_q   <= {desc_i.out_list[LI_W-1:0], desc_i.in_list[LI_W-1:0]};
    end
  end

  // ---- what meets
  logic start_meets, byte_meets, score_meets, list_meets;
  span_t dense;

  always_comb begin
    dense = '{lo: 32'(dense_i.addr), hi: 32'(dense_i.addr) + 32'd1};
    start_meets = 1'b0;
    byte_meets  = 1'b0;
    for (int unsigned u = 0; u < Units; u++) begin
      if (busy[u]) begin
        start_meets = start_meets || meet(writes, writes_q[u]) || meet(writes, reads_q[u])
            || meet(writes, old_q[u]) || meet(reads, writes_q[u]) || meet(old, writes_q[u]);
        byte_meets = byte_meets || meet(dense, writes_q[u]) || meet(dense, reads_q[u]);
      end
    end
    start_meets = start_meets && starts != '0;
    byte_meets  = byte_meets && dense_i.mask != '0;
    score_meets = 1'b0;
    for (int unsigned k = 0; k < 8; k++) begin
      score_meets = score_meets || (busy_i.fetch && score_i.mask[k]
          && {score_i.addr[SA_W-1:3], 3'(k)} >= fold_q.lo[SA_W-1:0]
          && 32'({score_i.addr[SA_W-1:3], 3'(k)}) < fold_q.hi);
    end
    list_meets = 1'b0;
    for (int unsigned k = 0; k < 2; k++) begin
      list_meets = list_meets || ((list_i.begins || list_i.append)
          && ((busy_i.conv && listed_q[k] && list_q[k] == list_i.list)
              || (busy_i.fetch && fetch_listed_q[k] && fetch_list_q[k] == list_i.list)));
    end
  end

  assert property (@(posedge clk_i) disable iff (!rst_ni) !start_meets)
    else $error("ps_hazards: a unit starts on feature memory that another one writes");
  assert property (@(posedge clk_i) disable iff (!rst_ni) !byte_meets)
    else $error("ps_hazards: a DENSE writes where another unit reads or writes");
  assert property (@(posedge clk_i) disable iff (!rst_ni) !score_meets)
    else $error("ps_hazards: a GATE writes a score that is being folded");
  assert property (@(posedge clk_i) disable iff (!rst_ni) !list_meets)
    else $error("ps_hazards: a GATE writes a list that is being walked");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      starts != '0 || starts_i.fetch |-> !busy_i.gate)
    else $error("ps_hazards: a unit starts beside a GATE or DENSE");
endmodule
`endif
