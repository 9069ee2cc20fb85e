// Dot products of the gate unit: a word of weights times a word of the vector, a cycle each, into an
// accumulator an output.
//
// item_i says what is read in this cycle: gmem_i and vector_i follow one later.  The parameters'
// pass begins an output's sum with its bias and keeps its multiplier; item_o, acc_o and factor_o
// come five cycles after item_i.  stopped_i drops what is under way.
module ps_gate_dot
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic               stopped_i,
  input  logic               signed_i,  // bytes of the vector are
  input  gate_item_t         item_i,
  input  logic [8*GATE_WORD_BYTES-1:0] gmem_i,
  input  logic [8*GATE_WORD_BYTES-1:0] vector_i,
  output gate_item_t         item_o,
  output logic signed [31:0] acc_o,
  output factor_t            factor_o
);
  localparam int unsigned Lanes = GATE_WORD_BYTES;

  // ---- operands (1), products (2), sums of two (3), their sum (4), accumulator (5)
  gate_item_t item_q1, item_q2, item_q3, item_q4, item_q5;
  /* verilator lint_off UNUSEDSIGNAL */  // the zero byte and the upper bits of the shift
  param_t param, param_q2, param_q3, param_q4;
  /* verilator lint_on UNUSEDSIGNAL */
  logic signed [Lanes-1:0][16:0] product_q2;
  logic signed [Lanes/2-1:0][17:0] pair_q3;
  logic signed [31:0] sum_q4, acc_q5, base, acc, stored;

  assign param = gmem_i[63:0];

  // A tree: in each round term k takes term k + width.
  function automatic logic signed [31:0] total(logic signed [Lanes/2-1:0][17:0] pairs);
    logic signed [Lanes/2-1:0][20:0] terms;
    for (int k = 0; k < Lanes / 2; k++) terms[k] = 21'($signed(pairs[k]));
    for (int width = Lanes / 4; width > 0; width = width / 2) begin
      for (int k = 0; k < width; k++) terms[k] = terms[k] + terms[k+width];
    end
    return 32'($signed(terms[0]));
  endfunction

  always_ff @(posedge clk_i) begin
    item_q1 <= item_i;
    item_q2 <= item_q1;
    item_q3 <= item_q2;
    item_q4 <= item_q3;
    item_q5 <= item_q4;
    if (item_q1.valid && item_q1.param) param_q2 <= param;
    if (item_q1.valid && !item_q1.param) begin
      for (int k = 0; k < Lanes; k++) begin
        product_q2[k] <= 17'($signed(gmem_i[8*k+:8]))
            * 17'($signed({signed_i && vector_i[8*k+7], vector_i[8*k+:8]}));
      end
    end
    if (item_q2.valid) begin
      for (int k = 0; k < Lanes / 2; k++) begin
        pair_q3[k] <= 18'($signed(product_q2[2*k])) + 18'($signed(product_q2[2*k+1]));
      end
    end
    param_q3 <= param_q2;
    // The parameters' pass begins a sum with the bias.
    if (item_q3.valid) sum_q4 <= item_q3.param ? param_q3.bias : total(pair_q3);
    param_q4 <= param_q3;
    if (item_q4.valid) acc_q5 <= acc;
    if (!rst_ni || stopped_i) begin
      item_q1.valid <= 1'b0;
      item_q2.valid <= 1'b0;
      item_q3.valid <= 1'b0;
      item_q4.valid <= 1'b0;
      item_q5.valid <= 1'b0;
    end
  end

  // The accumulator of the item before is not in the memory yet.
  logic behind_q4;  // this item is of the same output
  always_ff @(posedge clk_i) begin
    behind_q4 <= item_q4.valid && item_q4.out == item_q3.out && !stopped_i;
  end

  always_comb begin
    if (item_q4.param) base = '0;
    else base = behind_q4 ? acc_q5 : stored;
    acc = base + sum_q4;
  end

  assign item_o = item_q5;
  assign acc_o = acc_q5;

  // ---- memories, an entry an output
  ps_ram #(.Width(32), .Depth(2 * MAX_CHANNELS)) u_acc (
    .clk_i,
    .wr_en_i  ({4{item_q4.valid}}),
    .wr_addr_i(item_q4.out[CH_W-1:0]),
    .wr_data_i(acc),
    .rd_addr_i(item_q3.out[CH_W-1:0]),
    .rd_data_o(stored)
  );

  ps_ram #(.Width(22), .Depth(2 * MAX_CHANNELS)) u_scale (
    .clk_i,
    .wr_en_i  ({3{item_q4.valid && item_q4.param}}),
    .wr_addr_i(item_q4.out[CH_W-1:0]),
    .wr_data_i({param_q4.shift[5:0], param_q4.multiplier}),
    .rd_addr_i(item_q4.out[CH_W-1:0]),
    .rd_data_o(factor_o)
  );
endmodule
