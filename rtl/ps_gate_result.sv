// Results of the gate unit: scores and the survivor list of a GATE, a byte or two an output of a
// DENSE.
//
// done_i is a sum on its way to the requantiser, of output out_i; its result comes back Scale cycles
// later (scaled_i) and is written in the cycle after that.  Results come in the order of the
// outputs, so a list is compacted as they come.
//
// stopped_o: all scores before `from` of a job that may stop are 0.  Then the others are 0 too: a
// word of scores a cycle while fill_i, to fill_end_o.
module ps_gate_result
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
#(
  parameter int unsigned Scale = 4
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic               start_i,
  /* verilator lint_off UNUSEDSIGNAL */  // each part uses its own fields of a job
  input  gate_job_t          job_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic               begins_i,   // an item of the last pass
  input  logic               drained_i,  // nothing is under way
  input  logic               fill_i,
  input  logic               done_i,
  input  logic [CH_W:0]      out_i,
  input  logic               positive_i, // the sum is
  input  logic signed [16:0] scaled_i,

  output logic               stopped_o,
  output logic               fill_end_o,
  output score_write_t       score_o,
  output list_write_t        list_o,
  output access_t            access_o
);
  // ---- beside the requantiser
  logic [Scale:1] valid_q, positive_q;
  logic [Scale:1][CH_W:0] out_q;

  always_ff @(posedge clk_i) begin
    valid_q    <= (rst_ni && !stopped_o) ? {valid_q[Scale-1:1], done_i} : '0;
    out_q      <= {out_q[Scale-1:1], out_i};
    positive_q <= {positive_q[Scale-1:1], positive_i};
  end

  // ---- a score and a byte of each, registered
  logic result, open_q, begun_q, deciding_q, mem_we_q;
  logic [CH_W:0] out;
  logic [7:0] score, score_d, entry;
  logic [15:0] mem_data_d, mem_data_q;  // of 8 bits the lower byte
  logic [FA_W-1:0] mem_addr_q;

  // The table's entry of the result saturated to int8.  (Its index is no register: a synthesiser
  // would move that behind the table, to the end of the requantiser's longest path.)
  always_comb begin
    logic [7:0] index;
    index = {scaled_i[16], {7{!scaled_i[16]}}};
    if (scaled_i[16:7] == '0 || scaled_i[16:7] == '1) index = scaled_i[7:0];
    entry = SIGMOID_TABLE[index];
  end

  always_comb begin
    if (job_i.binary) score_d = positive_q[Scale] ? 8'd128 : 8'd0;
    else if (job_i.sigmoid) score_d = entry;
    else if (scaled_i < 17'sd0) score_d = 8'd0;
    else if (scaled_i > 17'sd128) score_d = 8'd128;
    else score_d = scaled_i[7:0];
  end

  always_comb begin
    if (scaled_i < 17'($signed(job_i.lo))) mem_data_d = job_i.lo;
    else if (scaled_i > 17'($signed(job_i.hi))) mem_data_d = job_i.hi;
    else mem_data_d = scaled_i[15:0];
  end

  always_ff @(posedge clk_i) begin
    result     <= rst_ni && !stopped_o && valid_q[Scale];
    out        <= out_q[Scale];
    score      <= score_d;
    mem_we_q   <= rst_ni && !stopped_o && valid_q[Scale] && job_i.dense;
    mem_addr_q <= job_i.mem_dst + FA_W'({1'b0, out_q[Scale]} << job_i.wide);
    mem_data_q <= mem_data_d;
    deciding_q <= job_i.stop && out_q[Scale] == job_i.from - (CH_W+1)'(1);
  end

  // The last output before `from`: were all of them zero?
  assign stopped_o = result && deciding_q && !open_q && score == '0;

  always_ff @(posedge clk_i) begin
    if (start_i) open_q <= 1'b0;
    else if (result && score != '0) open_q <= 1'b1;
    if (start_i) begun_q <= 1'b0;
    else if (begins_i) begun_q <= 1'b1;
  end

  // ---- zeros instead of the others
  logic [SA_W-1:0] fill_from, fill_last;
  logic [SA_W-4:0] fill_q;
  logic [7:0] fill_mask;

  assign fill_end_o = fill_q == fill_last[SA_W-1:3];

  always_comb begin
    fill_mask = 8'hFF;
    if (fill_q == fill_from[SA_W-1:3]) fill_mask = fill_mask & (8'hFF << fill_from[2:0]);
    if (fill_end_o) fill_mask = fill_mask & (8'hFF >> (3'd7 - fill_last[2:0]));
  end

  always_ff @(posedge clk_i) begin
    fill_from <= job_i.score_dst + SA_W'(job_i.from);
    fill_last <= job_i.score_dst + SA_W'(job_i.cout) - SA_W'(1);
    fill_q <= fill_i ? fill_q + (SA_W-3)'(1) : fill_from[SA_W-1:3];
  end

  // ---- what is written
  logic [SA_W-1:0] score_addr;
  assign score_addr = job_i.score_dst + SA_W'(out);

  always_comb begin
    if (fill_i) score_o = '{mask: fill_mask, addr: {fill_q, 3'd0}, data: 8'd0};
    else score_o = '{mask: (result && !job_i.dense) ? 8'h01 << score_addr[2:0] : 8'h00,
                     addr: score_addr, data: score};
  end

  assign list_o = '{begins: job_i.listed && begins_i && !begun_q && job_i.list_base == '0,
                    append: result && job_i.listed && out >= job_i.from && score != '0,
                    closes: drained_i && !stopped_o && job_i.listed, list: job_i.list,
                    id: (CH_W-1)'(out - job_i.from) + job_i.list_base[CH_W-2:0],
                    bound: CH_W'(job_i.cout - job_i.from) + job_i.list_base};
  assign access_o = '{read: 1'b0, addr: mem_addr_q, mask: FB'({mem_we_q && job_i.wide, mem_we_q}),
                      data: (8*FB)'(mem_data_q)};
endmodule
