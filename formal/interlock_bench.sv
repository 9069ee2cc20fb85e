// No unit reads or writes what a unit at work on another descriptor leaves out of order.
//
// Descriptors come one after the other, any operations, as ps_sequencer takes them: a CONV to the
// fetch and then to the array, the others to their unit, a GATE, DENSE, EXIT_IF or move, but no LOAD
// and no GLOAD of the table of activations, waited for before the next one is looked at; any of them
// skipped.  One address of feature memory, one of scores and lists, one pooled sum, one entry of the
// table, which a CONV that drains reads and that GLOAD writes: which descriptors read and write it,
// within what their operations do, when, and how long each unit takes is the solver's choice.  Then a
// write finds that no later descriptor has read or written the address, a read that none has written
// it, and two descriptors meet there only to read.
//
// Of the units this much is assumed: a CONV issues until its own fetch is done and drains no
// shorter; its sum is written once and not read before (the mark of ps_gate_unit); results of a
// GATE or DENSE begin in a cycle without its hold.
module interlock_bench
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input logic       clk_i,
  input logic       rst_ni,
  input logic       go_i,              // the next descriptor's turn
  input logic       skip_i,
  input logic [7:0] op_i,
  input logic       table_i,           // a GLOAD: of the table of activations
  input logic       pool_en_i,
  input logic [3:0] uses_i,            // the addresses it reads
  input logic [3:0] makes_i,           // and writes
  input logic [6:0] on_i,              // units that stay busy
  input logic [6:0] read_i,            // units that read in this cycle, if they may
  input logic [6:0] write_i
);
  localparam int unsigned Units = 7, Fetch = 0, Issue = 1, Drain = 2, Copy = 3, Gate = 4, Move = 5,
      Leave = 6;
  localparam int unsigned Memories = 4, Features = 0, Store = 1, Sum = 2, Table = 3;
  // Store: scores, lists.  Table: of activations.

  // Decide: the sequencer has looked at a descriptor for some cycles before its unit may start.
  typedef enum logic [2:0] {Next, Decide, Fetching, Array, Unit, UnitWait} state_e;
  state_e state_q;
  logic begun_q = 1'b0, past_q = 1'b0;
  logic [7:0] op_q;
  logic pool_q, table_q;
  logic [Memories-1:0] uses_q, makes_q;
  logic fetch_free, array_free, unit_free, unit_done, settled, idle, sums_busy, score_hold, memory_hold;
  logic is_gate, conv_start;
  logic [Units-1:0] starts, busy, busy_q;

  assign is_gate = op_q == OP_GATE || op_q == OP_DENSE;
  assign conv_start = state_q == Array && array_free && op_q == OP_CONV;
  assign starts[Fetch] = state_q == Fetching && fetch_free;
  assign starts[Issue] = conv_start;
  assign starts[Drain] = conv_start;
  assign starts[Copy]  = state_q == Array && array_free && op_q != OP_CONV;
  assign starts[Gate]  = state_q == Unit && unit_free && is_gate;
  assign starts[Leave] = state_q == Unit && unit_free && op_q == OP_EXIT_IF;
  assign starts[Move]  = state_q == Unit && unit_free && !is_gate && op_q != OP_EXIT_IF;

  // COPY or POOL, record or not: of the unit's descriptor.
  logic copies_pool_q, loads_q, tables_q, records;  // loads: nothing waits but what uses it
  starts_t unit_starts;
  busy_t unit_busy;
  always_ff @(posedge clk_i) if (starts[Copy]) copies_pool_q <= op_q == OP_POOL;
  always_ff @(posedge clk_i) if (starts[Move]) loads_q <= op_q == OP_LOAD || table_q;
  always_ff @(posedge clk_i) if (starts[Move]) tables_q <= table_q;
  assign records = op_q == OP_HALT;
  assign unit_starts = '{fetch: starts[Fetch], conv: conv_start, copy: starts[Copy],
                         gate: starts[Gate], exits: starts[Leave],
                         move: starts[Move] && !records, record: starts[Move] && records};
  assign unit_busy = '{fetch: busy[Fetch], conv: busy[Issue], drain: busy[Drain],
                       copy: busy[Copy] && !copies_pool_q, pool: busy[Copy] && copies_pool_q,
                       gate: busy[Gate], exits: busy[Leave], move: busy[Move]};

  ps_interlock u_interlock (
    .clk_i,
    .rst_ni,
    .op_i         (op_q),
    .table_i      (table_q),
    .starts_i     (unit_starts),
    .busy_i       (unit_busy),
    .pool_en_i    (pool_q),
    .fetch_free_o (fetch_free),
    .array_free_o (array_free),
    .unit_free_o  (unit_free),
    .unit_done_o  (unit_done),
    .settled_o    (settled),
    .idle_o       (idle),
    .sums_busy_o  (sums_busy),
    .score_hold_o (score_hold),
    .memory_hold_o(memory_hold)
  );

  // ---- the dispatcher
  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    past_q  <= rst_ni;
    if (!rst_ni) state_q <= Next;
    else unique case (state_q)
      Next:     if (settled && go_i && !skip_i) state_q <= Decide;
      Decide:   state_q <= op_q == OP_CONV ? Fetching
            : (op_q == OP_COPY || op_q == OP_POOL) ? Array : Unit;
      Fetching: if (fetch_free) state_q <= Array;
      Array:    if (array_free) state_q <= Next;
      Unit:     if (unit_free) state_q <= op_q == OP_EXIT_IF ? UnitWait : Next;
      default:  if (unit_done) state_q <= Next;
    endcase
    if (state_q == Next) begin
      op_q    <= op_i;
      pool_q  <= pool_en_i;
      table_q <= op_i == OP_GLOAD && table_i;
      uses_q  <= uses_i;
      makes_q <= makes_i;
    end
  end

  // ---- units; who may touch what from now on, and does in this cycle
  logic [Memories-1:0][Units-1:0] may_read, may_write, reads, writes;
  logic [Units-1:0][Memories-1:0] use_q, make_q;
  logic own_q;                            // the fetch is that of the CONV on the array
  logic results_q, dense_q, sums_q, summed_q;

  always_comb begin
    busy = busy_q & on_i;
    if (busy_q[Issue] && own_q && busy[Fetch]) busy[Issue] = 1'b1;
    if (busy[Issue]) busy[Drain] = 1'b1;
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned u = 0; u < Units; u++) begin
      busy_q[u] <= rst_ni && (starts[u] || busy[u]);
      if (starts[u]) use_q[u] <= uses_q;
      if (starts[u]) make_q[u] <= makes_q;
    end
    if (starts[Fetch]) own_q <= 1'b0;
    else if (conv_start) own_q <= 1'b1;
    if (starts[Gate]) dense_q <= op_q == OP_DENSE;
    if (starts[Gate]) results_q <= 1'b0;
    else if (busy[Gate] && !(dense_q ? memory_hold : score_hold)) results_q <= 1'b1;
    if (conv_start) sums_q <= pool_q;
    if (conv_start) summed_q <= 1'b0;
    else if (writes[Sum][Drain]) summed_q <= 1'b1;
  end

  always_comb begin
    may_read  = '0;
    may_write = '0;
    for (int unsigned u = 0; u < Units; u++) begin
      if (u != Fetch && u != Gate && !(u == Move && loads_q)) may_read[Features][u] = use_q[u][Features];
      if (u == Fetch || u == Issue || (u == Move && !loads_q)) may_read[Store][u] = use_q[u][Store];
      if (u == Drain || u == Copy || (u == Move && !tables_q)) may_write[Features][u] = make_q[u][Features];
    end
    may_write[Sum][Drain]     = make_q[Drain][Sum] && sums_q && !summed_q;
    may_read[Sum][Gate]       = use_q[Gate][Sum];
    may_read[Table][Drain]    = use_q[Drain][Table];
    may_write[Table][Move]    = make_q[Move][Table] && tables_q;
    may_write[Store][Gate]    = make_q[Gate][Store] && !dense_q;
    may_write[Features][Gate] = make_q[Gate][Features] && dense_q;
    for (int unsigned m = 0; m < Memories; m++) begin
      may_read[m]  = may_read[m] & busy;
      may_write[m] = may_write[m] & busy;
      reads[m]     = may_read[m] & read_i;
      writes[m]    = may_write[m] & write_i;
    end
    if (!results_q) begin
      writes[Store][Gate]    = 1'b0;
      writes[Features][Gate] = 1'b0;
    end
    if (may_write[Sum][Drain]) reads[Sum][Gate] = 1'b0;  // it is above the mark
  end

  // ---- order: later_q[v][u]: v works on a later descriptor than u.  What later ones have done at
  // the address since u has started.
  logic [Units-1:0][Units-1:0] later_q = '0;
  logic [Memories-1:0][Units-1:0] touched_q, written_q;
  logic predicate;
  assign predicate = state_q == Next && settled && go_i && uses_i[Store];

  always_ff @(posedge clk_i) begin
    for (int unsigned v = 0; v < Units; v++) begin
      for (int unsigned u = 0; u < Units; u++) begin
        if (starts[u]) later_q[v][u] <= 1'b0;
        else if (starts[v]) later_q[v][u] <= !(v != Fetch && u == Fetch && conv_start);
        if (u == v) later_q[v][u] <= 1'b0;
        for (int unsigned m = 0; m < Memories; m++) begin
          if (later_q[v][u] && (reads[m][v] || writes[m][v])) touched_q[m][u] <= 1'b1;
          if (later_q[v][u] && writes[m][v]) written_q[m][u] <= 1'b1;
        end
      end
    end
    for (int unsigned u = 0; u < Units; u++) begin
      if (predicate) touched_q[Store][u] <= 1'b1;
      for (int unsigned m = 0; m < Memories; m++) begin
        if (starts[u]) touched_q[m][u] <= 1'b0;
        if (starts[u]) written_q[m][u] <= 1'b0;
      end
    end
  end

  logic write_late, read_late, meet, none_later, itself, unit_q, array_q, load;
  assign unit_q  = busy_q[Gate] || busy_q[Leave] || busy_q[Move];
  assign array_q = busy_q[Issue] || busy_q[Drain];
  assign load    = busy_q[Move] && loads_q;

  always_comb begin
    write_late = 1'b0;
    read_late  = 1'b0;
    meet       = 1'b0;
    none_later = 1'b1;  // than a GATE or DENSE
    itself     = 1'b0;
    for (int unsigned u = 0; u < Units; u++) itself = itself || later_q[u][u];
    for (int unsigned v = 0; v < Units; v++) begin
      if (busy[v] && later_q[v][Gate]) none_later = 1'b0;
    end
    for (int unsigned m = 0; m < Memories; m++) begin
      write_late = write_late || (may_write[m] & touched_q[m]) != '0;
      read_late  = read_late || (may_read[m] & written_q[m]) != '0;
      for (int unsigned u = 0; u < Units; u++) begin
        for (int unsigned v = 0; v < Units; v++) begin
          if (writes[m][u] && (reads[m][v] || writes[m][v]) && (later_q[u][v] || later_q[v][u])) begin
            meet = 1'b1;
          end
        end
      end
    end
  end

  always_comb begin
    assume (rst_ni == begun_q);
    assume (op_i >= OP_LOAD && op_i <= OP_EXIT_IF);
  end

  always_comb if (begun_q && past_q && rst_ni) begin
    a_write: assert (!write_late);
    a_read: assert (!read_late);
    a_meet: assert (!meet);
    a_predicate: assert (!predicate || !busy[Gate]);
    // What the induction needs: its registers know who was busy; who is never beside whom.
    i_operation: assert (state_q == Next || state_q == Decide
                  || (u_interlock.gate_op_q == (op_q == OP_GATE)
                      && u_interlock.dense_op_q == (op_q == OP_DENSE)
                      && u_interlock.load_op_q == (op_q == OP_LOAD || table_q)));
    i_table: assert (state_q == Next || !table_q || op_q == OP_GLOAD);
    i_tables: assert (!busy_q[Move] || !tables_q || loads_q);
    i_load: assert (!busy_q[Move] || u_interlock.load_q == loads_q);
    i_done: assert (unit_done == !unit_q);
    i_fetch_free: assert (fetch_free == !(busy_q[Fetch] || (unit_q && !load)));
    i_array_q: assert (array_free == !(array_q || busy_q[Copy] || unit_q));
    i_dense_q: assert (u_interlock.dense_free_q == !(busy_q[Copy] || unit_q));
    i_idle: assert (idle == !(busy_q[Fetch] || array_q || busy_q[Copy] || unit_q));
    i_sums_q: assert (sums_busy == (u_interlock.sums_q && array_q));
    i_score: assert (score_hold == (busy_q[Fetch] || busy_q[Issue] || sums_busy));
    i_memory: assert (memory_hold == array_q);
    i_settled: assert (settled == (!unit_q || load));
    i_wait: assert (!(busy[Gate] || (busy[Move] && !loads_q)) || state_q == Next);
    i_leave: assert (!busy[Leave] || state_q == UnitWait);
    i_alone: assert (!(busy[Move] || busy[Leave])
                     || (busy & ~(7'd1 << Move) & ~(7'd1 << Leave) & ~(7'(load) << Fetch)) == '0);
    i_one: assert (!busy[Move] || !busy[Leave]);
    i_array: assert (!busy[Copy] || !(busy[Issue] || busy[Drain]));
    i_sums: assert (!busy[Drain] || u_interlock.sums_q == sums_q);
    i_dense: assert (!(busy[Gate] && dense_q) || !busy[Copy]);
    i_bytes: assert (!(busy[Gate] && dense_q && results_q) || !(busy[Issue] || busy[Drain]));
    i_scores: assert (!(busy[Gate] && !dense_q && results_q)
                      || !(busy[Fetch] || busy[Issue] || sums_busy));
    i_last: assert (!busy[Gate] || (later_q[Gate] | ~(busy & ~(7'd1 << Gate))) == '1);
    i_gate: assert (!busy[Gate] || none_later);
    i_itself: assert (!itself);
    i_same: assert (!busy[Drain] || (!later_q[Issue][Drain] && !(busy[Issue] && later_q[Drain][Issue])));
    i_own: assert (!busy[Fetch] || !((busy[Issue] && later_q[Issue][Fetch])
                                     || (busy[Drain] && later_q[Drain][Fetch])));
    i_op: assert (state_q != Fetching || op_q == OP_CONV);
    i_last_step: assert (!(busy[Fetch] && own_q) || busy[Issue]);
    i_fetch: assert (!(busy[Fetch] && !own_q) || (state_q == Array && op_q == OP_CONV));
  end

  always_ff @(posedge clk_i) if (begun_q && rst_ni) begin
    c_dense: cover (writes[Features][Gate] && make_q[Drain][Features] && make_q[Gate][Features]);
    c_beside: cover (busy[Gate] && dense_q && busy[Drain] && !busy[Issue]);
    c_gate: cover (writes[Store][Gate] && busy[Drain] && !sums_q);
    c_sum: cover (reads[Sum][Gate] && summed_q && busy[Drain]);
    c_copy: cover (writes[Features][Copy] && busy[Gate]);
    c_fetch: cover (busy[Fetch] && busy[Issue] && !own_q);
    c_table: cover (writes[Table][Move] && use_q[Drain][Table]);
    c_table_fetch: cover (busy[Fetch] && writes[Table][Move]);
    c_load: cover (busy[Fetch] && writes[Features][Move]);
  end
endmodule
