// One section of the feature memory: neighbouring byte-wide banks, each a true dual-port RAM.
//
// Port A reads every bank at one of two rows (a_next_i chooses bank by bank), port B reads or
// writes each bank at an address of its own.  Data of either port follow its enabled addresses by
// one cycle and hold otherwise; a read in the cycle of a write to the same byte gives the old byte.
// Contents are not reset.
module ps_bank_ram #(
  parameter int unsigned Banks = 16,
  parameter int unsigned Depth = 2048,
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                            clk_i,
  input  logic                            a_en_i,
  input  logic [Banks-1:0]                a_next_i,
  input  logic [AddrWidth-1:0]            a_row_i,
  input  logic [AddrWidth-1:0]            a_row_next_i,
  output logic [Banks-1:0][7:0]           a_data_o,
  input  logic                            b_en_i,
  input  logic [Banks-1:0]                b_we_i,
  input  logic [AddrWidth-1:0]            b_addr_i [Banks],
  input  logic [Banks-1:0][7:0]           b_data_i,
  output logic [Banks-1:0][7:0]           b_data_o
);
  for (genvar k = 0; k < Banks; k++) begin : gen_bank
    logic [7:0] mem_q [Depth];

    always_ff @(posedge clk_i) begin
      if (a_en_i) a_data_o[k] <= mem_q[a_next_i[k] ? a_row_next_i : a_row_i];
    end

    always_ff @(posedge clk_i) begin
      if (b_en_i) begin
        if (b_we_i[k]) mem_q[b_addr_i[k]] <= b_data_i[k];
        b_data_o[k] <= mem_q[b_addr_i[k]];
      end
    end
  end
endmodule
