// Interlock: the one table of what waits for what.
//
// Descriptors start in their order, yet a unit may still be at work on an earlier one.  Rows: what
// starts, or writes; columns: what still runs, whichever descriptors between the two were skipped,
// in whatever image.  `w`: waits; `-`: goes ahead, and why nothing meets is said below.
//
//                        fetch    CONV      CONV      COPY     GATE     EXIT_IF  LOAD GLOAD
//                                 issues    drains    POOL     DENSE             STORE record
//   fetch of a CONV        w      - halves  - halves  - apart    w        w        w
//   CONV                  own       w         w         w        w        w        w
//   COPY, POOL            own       w         w         w        w        w        w
//   GATE starts          - reads  - sums    - sums    - apart    w        w        w
//     scores, lists        w        w       w if sums - apart    .        .        .
//   DENSE starts         - apart  - sums    - sums      w        w        w        w
//     feature memory     - apart    w         w         .        .        .        .
//   EXIT_IF, LOAD, GLOAD,
//   STORE, HALT            w        w         w         w        w        w        w
//
// own: of this CONV, or of one that runs on the array.  halves: weights and parameters go to a half
// of their buffer that the array has released (ps_weight_request).  sums: what is read of the
// pooled sums is final, by the mark of ps_gate_unit.  apart, reads: no memory is written that the
// other reads or writes.  The columns at the right are never left before they are done (`.`).
//
// What a unit writes and reads: a CONV that issues walks lists and reads feature memory; one that
// drains writes it, reads it for its residual, and writes pooled sums if it makes any (sums); the
// fetch walks lists and reads scores; a GATE reads sums and the gate memory and writes scores and a
// list; a DENSE reads the same and writes feature memory.  So a GATE under a CONV without sums goes
// on while that drains, and a DENSE, whose bytes may lie where it still writes, does not.
//
// Everything here is decided on registers: a unit counts as busy from the cycle after its start, and
// one cycle longer than it says.  So no unit's logic is behind another's start.
module ps_interlock
  import ps_pkg::*;
(
  input  logic       clk_i,
  input  logic       rst_ni,           // and no unit is held in reset
  input  logic [7:0] op_i,             // of the descriptor whose turn it is
  input  logic       fetch_start_i,
  input  logic       conv_start_i,
  input  logic       copy_start_i,     // COPY, POOL
  input  logic       gate_start_i,     // GATE, DENSE, EXIT_IF
  input  logic       move_start_i,     // LOAD, GLOAD, STORE, record
  input  logic       pool_en_i,        // the CONV that starts makes sums

  input  logic       fetch_busy_i,
  input  logic       conv_busy_i,      // issues steps
  input  logic       epilogue_busy_i,  // drains
  input  logic       copy_busy_i,      // COPY, POOL
  input  logic       gate_busy_i,      // GATE, DENSE, EXIT_IF
  input  logic       move_busy_i,      // LOAD, GLOAD, STORE, record

  output logic       fetch_free_o,     // the fetch of a CONV may start
  output logic       array_free_o,     // CONV, COPY, POOL may start
  output logic       unit_free_o,      // any other operation may
  output logic       unit_done_o,      // and is done
  output logic       idle_o,
  output logic       sums_busy_o,      // a CONV that makes sums runs
  output logic       score_hold_o,     // scores and lists may not be written
  output logic       memory_hold_o     // a DENSE may not write feature memory
);
  logic sums_q, fetch_q, conv_q, epilogue_q, copy_q, gate_q, move_q, array_busy;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      fetch_q    <= 1'b0;
      conv_q     <= 1'b0;
      epilogue_q <= 1'b0;
      copy_q     <= 1'b0;
      gate_q     <= 1'b0;
      move_q     <= 1'b0;
    end else begin
      fetch_q    <= fetch_start_i || fetch_busy_i;
      conv_q     <= conv_start_i || conv_busy_i;
      epilogue_q <= epilogue_busy_i;
      copy_q     <= copy_start_i || copy_busy_i;
      gate_q     <= gate_start_i || gate_busy_i;
      move_q     <= move_start_i || move_busy_i;
    end
    if (conv_start_i) sums_q <= pool_en_i;
  end

  assign array_busy    = conv_q || epilogue_q || copy_q;
  assign idle_o        = !fetch_q && !array_busy && unit_done_o;
  assign unit_done_o   = !gate_q && !move_q;
  assign fetch_free_o  = !fetch_q && unit_done_o;
  assign array_free_o  = !array_busy && unit_done_o;
  assign sums_busy_o   = sums_q && (conv_q || epilogue_q);
  assign score_hold_o  = fetch_q || conv_q || sums_busy_o;
  assign memory_hold_o = conv_q || epilogue_q;

  always_comb begin
    unique case (op_i)
      OP_GATE:  unit_free_o = unit_done_o;
      OP_DENSE: unit_free_o = unit_done_o && !copy_q;
      default:  unit_free_o = idle_o;
    endcase
  end
endmodule
