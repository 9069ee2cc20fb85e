// Sequencer: checks each descriptor, evaluates its predicate and hands it to its unit, in order.
//
// A convolution goes to the fetch controller as soon as that is idle and to the array as soon as
// the one before has drained, so weights of the next convolution are fetched while this one
// computes.  COPY and POOL share the array's place in that order.  A GATE or DENSE begins while the
// convolution before it runs and follows its sums (ps_gate_unit); a GATE may also run beside a COPY
// or POOL.  Every other operation waits for all units to be idle; what comes after one of these waits
// for it with its beats there, and a convolution behind a LOAD, or the GLOAD of a table, is fetched
// meanwhile.  What waits for what is one table: ps_interlock, whose holds go to the gate unit.
// An EXIT_IF that is taken restarts the descriptor stream at a later descriptor, a HALT where the
// next image begins, while its record is written.
// Anything illegal, a bad response, or a foreign program stops the run: stop_o stays high until the
// masters are idle, then done_o with error_o.  So does hung_i (WATCHDOG); a second one while stopped
// gives done_o although the masters still wait.  Such a bus needs a reset: until it has answered,
// stop_o stays high and a start ends with WATCHDOG again.
module ps_sequencer
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        start_i,
  output logic        done_o,
  output logic        running_o,
  output logic        stop_o,
  output logic [31:0] error_o,
  output logic [31:0] position_o,     // descriptor
  output logic [31:0] image_o,

  /* verilator lint_off UNUSEDSIGNAL */  // ps_core and ps_check use the rest
  input  run_t        run_i,
  /* verilator lint_on UNUSEDSIGNAL */
  output logic [63:0] image_input_o,
  output logic [63:0] image_output_o,

  output logic        restart_o,      // descriptor stream from restart_index_o on
  output logic [31:0] restart_index_o,
  input  logic        desc_valid_i,
  output logic        desc_ready_o,
  /* verilator lint_off UNUSEDSIGNAL */  // each unit uses its own fields of a descriptor
  input  desc_t       desc_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic        desc_at_end_i,
  input  logic [31:0] check_error_i,  // two cycles after desc_i

  output logic [SA_W-1:0] score_addr_o,
  input  logic [7:0]  score_i,
  input  logic [N_LISTS-1:0][CH_W-1:0] list_count_i,
  input  logic [N_LISTS-1:0][CH_W-1:0] list_bound_i,
  output logic [CH_W-1:0] n_in_o,
  output logic [CH_W-1:0] n_out_o,

  output starts_t     starts_o,
  input  busy_t       busy_i,
  input  logic        exit_taken_i,   // right when an EXIT_IF has run
  output logic        sums_busy_o,    // for the gate unit: see ps_interlock
  output logic        score_hold_o,
  output logic        memory_hold_o,
  input  logic        masters_busy_i,
  input  logic        read_error_i,
  input  logic        write_error_i,
  input  logic        hung_i,         // pulse: nothing has moved for long

  output logic        counters_clear_o,
  output outcome_t    outcome_o,
  output logic [31:0] exit_o
);
  typedef enum logic [3:0] {
    Idle, Hash, Next, Check, Decide, Fetch, Array, Unit, UnitWait, Record, RecordWait, Stop
  } state_e;
  state_e state_q;

  logic [31:0] image_q, pc_q, error_q;
  logic [31:0] loop_q;  // where the next image begins
  logic owed_q;         // pc_q is still that of the unit's descriptor
  logic [1:0] check_q;
  logic [CH_W-1:0] n_in_q, n_out_q;
  logic fetch_free, array_free, unit_free, unit_done, settled;
  logic skip, no_output, all_idle, lacking, master_error;
  logic jump, misaligned;

  // What the decision rests on is there before it: scores and lists come with the GATE before, the
  // descriptor's operation, predicate and lists with its first beats, the arguments with the start.
  logic score_zero_q, in_beyond_q, out_beyond_q, masters_busy_q, no_output_q;
  logic table_q, no_table_q;      // a table was loaded in this run; the CONV lacks one
  logic is_table, is_table_q;     // a GLOAD of a table
  logic is_conv, is_exit, is_gate, moves_maps, is_halt;  // moves_maps: COPY, POOL
  logic [1:0] stopped_q;
  logic last_image, foreign_q, bad_argument_q;
  logic [31:0] last_image_q;
  assign skip = desc_i.pred_en && score_zero_q != desc_i.pred_not;
  assign score_addr_o = desc_i.pred_slot[SA_W-1:0];
  assign master_error = read_error_i || write_error_i;
  // A buffer does not begin with a whole beat.
  assign misaligned = (run_i.program_at[2:0] | run_i.weights_at[2:0] | run_i.input_at[2:0]
                       | run_i.output_at[2:0]) != '0;

  assign is_table = desc_i.op == OP_GLOAD && desc_i.variant == GLOAD_TABLE;

  ps_interlock u_interlock (
    .clk_i,
    .rst_ni,
    .op_i         (desc_i.op),
    .table_i      (is_table),
    .starts_i     (starts_o),
    .busy_i,
    .pool_en_i    (desc_i.pool_en),
    .fetch_free_o (fetch_free),
    .array_free_o (array_free),
    .unit_free_o  (unit_free),
    .unit_done_o  (unit_done),
    .settled_o    (settled),
    .idle_o       (all_idle),
    .sums_busy_o,
    .score_hold_o,
    .memory_hold_o
  );

  // A list that may name a channel the descriptor does not have.
  function automatic logic beyond(logic [7:0] list, logic [15:0] channels,
                                  logic [N_LISTS-1:0][CH_W-1:0] bound);
    return list != ALL_CHANNELS && 16'(bound[list[LI_W-1:0]]) > channels;
  endfunction

  always_ff @(posedge clk_i) begin
    score_zero_q   <= score_i == '0;
    in_beyond_q    <= beyond(desc_i.in_list, desc_i.cin, list_bound_i);
    out_beyond_q   <= beyond(desc_i.out_list, desc_i.cout, list_bound_i);
    no_table_q     <= desc_i.length[$clog2(TABLE_BYTES)] && !table_q;  // or 0, by ps_check
    is_conv        <= desc_i.op == OP_CONV;
    is_table_q     <= is_table;
    is_exit        <= desc_i.op == OP_EXIT_IF;
    is_gate        <= desc_i.op == OP_GATE || desc_i.op == OP_DENSE;
    moves_maps     <= desc_i.op == OP_COPY || desc_i.op == OP_POOL;
    is_halt        <= desc_i.op == OP_HALT;
    last_image_q   <= run_i.n_images - 32'd1;
    last_image     <= image_q == last_image_q;
    foreign_q      <= run_i.config_hash != CONFIG_HASH;
    bad_argument_q <= run_i.n_images == '0 || misaligned || run_i.input_stride[2:0] != '0
        || run_i.output_stride[2:0] != '0;
    stopped_q      <= {stopped_q[0], state_q == Stop};
    masters_busy_q <= masters_busy_i;
  end

  // What the CONV needs is not there: channels of its lists, a table.
  assign lacking = is_conv && ((!skip && in_beyond_q) || out_beyond_q || no_table_q);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
    end else if (state_q != Idle && state_q != Stop && (master_error || hung_i)) begin
      state_q <= Stop;
    end else begin
      unique case (state_q)
        Idle:   if (start_i) state_q <= masters_busy_q ? Stop : Hash;
        Hash:   state_q <= (foreign_q || bad_argument_q) ? Stop : Next;
        Next:   if (settled && desc_valid_i) state_q <= Check;
                else if (settled && desc_at_end_i) state_q <= Stop;
        Check:  if (check_q == 2'd1) state_q <= check_error_i == ERR_NONE ? Decide : Stop;
        Decide: begin
          if (skip && !(is_conv && desc_i.pred_empty)) state_q <= Next;
          else if (lacking) state_q <= Stop;
          else if (is_conv) state_q <= Fetch;
          else if (moves_maps) state_q <= Array;
          else if (is_halt) state_q <= Record;
          else state_q <= Unit;
        end
        Fetch:  if (no_output) state_q <= Next;
                else if (fetch_free) state_q <= Array;
        Array:  if (array_free) state_q <= Next;
        Unit:   if (unit_free) state_q <= is_exit ? UnitWait : Next;
        UnitWait: if (unit_done) state_q <= Next;
        Record: if (all_idle) state_q <= RecordWait;
        RecordWait: if (all_idle) state_q <= last_image ? Stop : Next;
        Stop:   if (done_o) state_q <= Idle;
        default: state_q <= Idle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    check_q <= (state_q == Check) ? check_q + 2'd1 : 2'd0;
    if (state_q == Idle && start_i) begin
      image_q        <= '0;
      pc_q           <= '0;
      owed_q         <= 1'b0;
      table_q        <= 1'b0;
      error_q        <= masters_busy_q ? ERR_WATCHDOG : ERR_NONE;
      image_input_o  <= run_i.input_at;
      image_output_o <= run_i.output_at;
    end
    if (state_q == Hash && foreign_q) error_q <= ERR_CONFIG;
    else if (state_q == Hash && bad_argument_q) error_q <= ERR_FIELD;
    if (state_q == Next && settled && !desc_valid_i && desc_at_end_i) error_q <= ERR_PROGRAM_END;
    if (state_q == Check && check_q == 2'd1) error_q <= check_error_i;
    if (state_q == Decide && lacking && !(skip && !desc_i.pred_empty)) error_q <= ERR_BOUNDS;
    if (state_q != Idle && state_q != Stop && master_error) begin
      error_q <= read_error_i ? ERR_READ : ERR_WRITE;
    end
    if (state_q != Idle && hung_i) error_q <= ERR_WATCHDOG;
    if (starts_o.move && is_table_q) table_q <= 1'b1;
    if (state_q == Decide) begin
      // An output channel of a depthwise convolution (variant) has one input channel.
      n_in_q  <= skip ? '0 : is_conv && desc_i.variant == CONV_DEPTHWISE ? CH_W'(1)
          : desc_i.in_list == ALL_CHANNELS ? desc_i.cin[CH_W-1:0]
                                                            : list_count_i[desc_i.in_list[LI_W-1:0]];
      no_output_q <= (desc_i.out_list == ALL_CHANNELS ? desc_i.cout[CH_W-1:0]
                      : list_count_i[desc_i.out_list[LI_W-1:0]]) == '0;
      n_out_q <= desc_i.out_list == ALL_CHANNELS ? desc_i.cout[CH_W-1:0]
                                                 : list_count_i[desc_i.out_list[LI_W-1:0]];
    end
    // A unit's descriptor is left when the unit is: that is the position of an error until then.
    if (state_q == Next && settled) owed_q <= 1'b0;
    else if (starts_o.gate || starts_o.move) owed_q <= 1'b1;
    if (state_q == Next ? settled && owed_q : desc_ready_o && state_q != Unit) pc_q <= pc_q + 32'd1;
    if (jump) pc_q <= desc_i.length;
    if (state_q == Record) loop_q <= desc_i.length;
    if (state_q == RecordWait && all_idle && !last_image) begin
      image_q        <= image_q + 32'd1;
      pc_q           <= loop_q;
      image_input_o  <= image_input_o + 64'(run_i.input_stride);
      image_output_o <= image_output_o + 64'(run_i.output_stride);
    end
  end

  assign no_output = no_output_q;
  assign n_in_o  = n_in_q;
  assign n_out_o = n_out_q;

  assign starts_o.fetch  = state_q == Fetch && !no_output && fetch_free;
  assign starts_o.conv   = state_q == Array && is_conv && array_free;
  assign starts_o.copy   = state_q == Array && !is_conv && array_free;
  assign starts_o.gate   = state_q == Unit && unit_free && is_gate;
  assign starts_o.exits  = state_q == Unit && unit_free && is_exit;
  assign starts_o.move   = state_q == Unit && unit_free && !is_gate && !is_exit;
  assign starts_o.record = state_q == Record && all_idle;

  // The descriptor is held until its unit has latched it, an EXIT_IF until it is decided.
  assign desc_ready_o = (state_q == Decide && skip && !(is_conv && desc_i.pred_empty))
      || (state_q == Fetch && no_output) || (state_q == Array && array_free)
      || (state_q == Unit && unit_free && !is_exit) || (state_q == UnitWait && unit_done && !jump);
  assign jump = state_q == UnitWait && unit_done && is_exit && exit_taken_i;
  assign restart_o = (state_q == Idle && start_i && !misaligned) || jump
      || (starts_o.record && !last_image);
  assign restart_index_o = state_q == Idle ? '0 : desc_i.length;

  logic skipped;
  assign skipped = state_q == Decide && skip && !(is_conv && desc_i.pred_empty);
  always_comb begin
    outcome_o.executed = starts_o.fetch || (state_q == Fetch && no_output) || starts_o.copy
        || starts_o.gate || starts_o.exits || starts_o.move || starts_o.record;
    outcome_o.skipped = skipped;
    outcome_o.channels_executed = (is_conv && !skipped) ? n_out_q : '0;
    outcome_o.channels_skipped = !is_conv ? '0 : skipped ? desc_i.cout[CH_W-1:0]
                                                         : desc_i.cout[CH_W-1:0] - n_out_q;
  end
  assign counters_clear_o = (state_q == Idle && start_i) || starts_o.record;
  assign exit_o = pc_q;

  assign running_o  = state_q != Idle;
  assign stop_o     = state_q == Stop || (state_q == Idle && masters_busy_q);
  // The masters are told a cycle after the stop, and may have taken a request until then: that shows
  // in the third cycle.
  assign done_o     = state_q == Stop && stopped_q == '1 && (!masters_busy_q || hung_i);
  assign error_o    = error_q;
  assign position_o = pc_q;
  assign image_o    = image_q;
endmodule
