// One byte-wide bank of the feature memory: true dual port, port A reads, port B reads or writes.
//
// Data of either port follow its enabled address by one cycle and hold otherwise; a read in the
// cycle of a write to the same byte gives the old byte.  Contents are not reset.
module ps_bank_ram #(
  parameter int unsigned Depth = 2048,
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                 clk_i,
  input  logic                 a_en_i,
  input  logic [AddrWidth-1:0] a_addr_i,
  output logic [7:0]           a_data_o,
  input  logic                 b_en_i,
  input  logic                 b_we_i,
  input  logic [AddrWidth-1:0] b_addr_i,
  input  logic [7:0]           b_data_i,
  output logic [7:0]           b_data_o
);
  logic [7:0] mem_q [Depth];

  always_ff @(posedge clk_i) begin
    if (a_en_i) a_data_o <= mem_q[a_addr_i];
  end

  always_ff @(posedge clk_i) begin
    if (b_en_i) begin
      if (b_we_i) mem_q[b_addr_i] <= b_data_i;
      b_data_o <= mem_q[b_addr_i];
    end
  end
endmodule
