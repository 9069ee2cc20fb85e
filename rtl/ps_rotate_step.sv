// One step of a rotation: bytes move down by by_i times Step places, the lowest come in at the top.
//
// A module of its own that synthesis keeps: choosing one of four bytes' bits is one 6-input look-up
// table.  Taken together with the steps before and behind it, mappers make two tables and two levels
// of it.
(* keep_hierarchy = "yes" *)
module ps_rotate_step #(
  parameter int unsigned Lanes = 16,
  parameter int unsigned Step = 4,
  parameter int unsigned Ways = 4,  // 2 or 4
  localparam int unsigned ByWidth = $clog2(Ways)
) (
  input  logic [Lanes-1:0][7:0] data_i,
  input  logic [ByWidth-1:0]    by_i,
  output logic [Lanes-1:0][7:0] data_o
);
  if (Ways == 2) begin : gen_two
    assign data_o = by_i[0] ? {data_i[Step-1:0], data_i[Lanes-1:Step]} : data_i;
  end else begin : gen_four
    always_comb begin
      unique case (by_i)
        ByWidth'(1): data_o = {data_i[Step-1:0], data_i[Lanes-1:Step]};
        ByWidth'(2): data_o = {data_i[2*Step-1:0], data_i[Lanes-1:2*Step]};
        ByWidth'(3): data_o = {data_i[3*Step-1:0], data_i[Lanes-1:3*Step]};
        default:     data_o = data_i;
      endcase
    end
  end
endmodule
