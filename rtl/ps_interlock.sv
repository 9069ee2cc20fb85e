// Interlock: the one table of what waits for what.
//
// Descriptors start in their order, yet a unit may still be at work on an earlier one.  Rows: what
// starts, or writes; columns: what still runs, whichever descriptors between the two were skipped,
// in whatever image.  `w`: waits; `-`: goes ahead, and why nothing meets is said below.
//
//                        fetch    CONV      CONV      COPY     GATE     EXIT_IF  LOAD     GLOAD
//                                 issues    drains    POOL     DENSE             (table)  STORE record
//   fetch of a CONV        w      - halves  - halves  - apart    w        w      - apart    w
//   CONV                  own       w         w         w        w        w        w        w
//   COPY, POOL            own       w         w         w        w        w        w        w
//   GATE starts          - reads  - sums    - sums    - apart    w        w        w        w
//     scores, lists        w        w       w if sums - apart    .        .        .        .
//   DENSE starts         - apart  - sums    - sums      w        w        w        w        w
//     feature memory     - apart    w         w         .        .        .        .        .
//   EXIT_IF, LOAD, GLOAD,
//   STORE, HALT            w        w         w         w        w        w        w        w
//
// (table): and a GLOAD of the table of activations.  own: of this CONV, or of one that runs on the
// array (or waits for it behind a LOAD).  halves: weights go to a half of their buffer that the array has
// released (ps_weight_request), parameters to the next of four places.  sums: what is read of the pooled sums is final,
// by the mark of ps_gate_unit.  apart, reads: no memory is written that the other reads or writes.
// The columns at the right are never left before they are done (`.`).
//
// What a unit writes and reads: a CONV that issues walks lists and reads feature memory; one that
// drains writes it, reads it for its residual, reads the table of activations, and writes pooled sums
// if it makes any (sums); the fetch walks lists and reads scores; a GLOAD writes that table alone, or
// the gate memory; a GATE reads sums and the gate memory and writes scores and a list; a DENSE reads
// the same and writes feature memory.  So a GATE under a CONV without sums goes on while that drains,
// and a DENSE, whose bytes may lie where it still writes, does not.
//
// Every answer is a register: a unit counts as busy from the cycle after its start, and one cycle
// longer than it says.  So no unit's logic is behind another's start.
module ps_interlock
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic       clk_i,
  input  logic       rst_ni,           // and no unit is held in reset
  input  logic [7:0] op_i,             // of the descriptor whose turn it is
  input  logic       table_i,          // which is a GLOAD of the table of activations
  input  starts_t    starts_i,
  input  busy_t      busy_i,
  input  logic       pool_en_i,        // the CONV that starts makes sums

  output logic       fetch_free_o,     // the fetch of a CONV may start
  output logic       array_free_o,     // CONV, COPY, POOL may start
  output logic       unit_free_o,      // any other operation may
  output logic       unit_done_o,      // and is done
  output logic       settled_o,        // the next descriptor may be looked at
  output logic       idle_o,
  output logic       sums_busy_o,      // a CONV that makes sums runs
  output logic       score_hold_o,     // scores and lists may not be written
  output logic       memory_hold_o     // a DENSE may not write feature memory
);
  // What will be busy in the next cycle.
  logic fetch, conv, array, copy, unit, sums, load;
  logic sums_q, load_q, load_op_q, gate_op_q, dense_op_q, dense_free_q;

  assign fetch = starts_i.fetch || busy_i.fetch;
  assign conv  = starts_i.conv || busy_i.conv;
  assign copy  = starts_i.copy || busy_i.copy || busy_i.pool;
  assign array = conv || busy_i.drain || copy;
  assign unit  = starts_i.gate || starts_i.exits || starts_i.move || starts_i.record
      || busy_i.gate || busy_i.exits || busy_i.move;
  assign load  = starts_i.move ? load_op_q : busy_i.move && load_q;  // then no other unit is busy
  assign sums  = (starts_i.conv ? pool_en_i : sums_q) && (conv || busy_i.drain);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      fetch_free_o  <= 1'b1;
      array_free_o  <= 1'b1;
      dense_free_q  <= 1'b1;
      unit_done_o   <= 1'b1;
      settled_o     <= 1'b1;
      idle_o        <= 1'b1;
      sums_busy_o   <= 1'b0;
      score_hold_o  <= 1'b0;
      memory_hold_o <= 1'b0;
    end else begin
      fetch_free_o  <= !fetch && (!unit || load);
      array_free_o  <= !array && !unit;
      dense_free_q  <= !copy && !unit;
      unit_done_o   <= !unit;
      settled_o     <= !unit || load;
      idle_o        <= !fetch && !array && !unit;
      sums_busy_o   <= sums;
      score_hold_o  <= fetch || conv || sums;
      memory_hold_o <= conv || busy_i.drain;
    end
    if (starts_i.conv) sums_q <= pool_en_i;
    if (starts_i.move || starts_i.record) load_q <= starts_i.move && load_op_q;
    load_op_q  <= op_i == OP_LOAD || table_i;
    gate_op_q  <= op_i == OP_GATE;
    dense_op_q <= op_i == OP_DENSE;
  end

  assign unit_free_o = gate_op_q ? unit_done_o : dense_op_q ? dense_free_q : idle_o;
endmodule
