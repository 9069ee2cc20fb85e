// The sequencer always comes to an end when those around it do.
//
// Program, checks, scores and lists are the solver's choice.  Assumed: a descriptor comes within
// Wait cycles of its turn, a unit is busy for at most Busy cycles after its start and idle
// otherwise, the masters are idle within Busy cycles of a stop, HALT loops into the program, an
// EXIT_IF goes on later in it.
// Then a run takes a descriptor, begins an image or ends at least every Limit cycles; and as each
// such step goes on in the program or to a later image, there are at most
// n_images * (n_descriptors + 1) of them: HALT or an error is always reached.
module sequencer_bench
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
#(
  parameter int unsigned Descriptors = 3,
  parameter int unsigned Wait = 1,
  parameter int unsigned Busy = 2,
  parameter int unsigned Limit = 17
) (
  input logic        clk_i,
  input logic        rst_ni,
  input logic        start_i,
  input logic        comes_i,       // the descriptor is there
  input logic [4:0]  busy_i,        // of fetch, conv, copy, gate, move
  input logic        masters_busy_i,
  input logic [7:0]  score_i,
  input logic [31:0] check_i,
  input logic        taken_i,
  input logic [N_LISTS-1:0][CH_W-1:0] list_count_i,
  input logic [N_LISTS-1:0][CH_W-1:0] list_bound_i,
  input logic [31:0] hash_i
);
  localparam int unsigned Units = 5;

  // Registers without a first value that keep what they have: the solver's choice.
  desc_t [Descriptors-1:0] program_q;
  logic [31:0] count_q, images_q;
  always_ff @(posedge clk_i) begin
    program_q <= program_q;
    count_q   <= count_q;
    images_q  <= images_q;
  end

  logic begun_q = 1'b0, past_q = 1'b0;
  logic done, running, stop, restart, desc_valid, desc_ready, shown_q;
  logic [31:0] restart_index, next_q, image_q, since_q;
  logic [Units-1:0] starts, busy, busy_q;
  logic [Units-1:0][2:0] age_q;
  logic [2:0] age_stop_q, age_next_q;
  logic jump, pool_q, exits_q, ahead;
  starts_t unit_starts;
  busy_t unit_busy;
  desc_t desc;

  assign desc = program_q[next_q[1:0]];
  assign desc_valid = next_q < count_q && (shown_q || comes_i || 32'(age_next_q) >= Wait);
  assign jump = running && restart && desc.op == OP_EXIT_IF;
  // The next image's descriptors are asked for while the record is written.
  localparam logic [3:0] RecordWait = 4'd10;
  assign ahead = u_sequencer.state_q == RecordWait && !u_sequencer.last_image;
  assign starts = {unit_starts.move || unit_starts.record, unit_starts.gate || unit_starts.exits,
                   unit_starts.copy, unit_starts.conv, unit_starts.fetch};
  assign unit_busy = '{fetch: busy[0], conv: busy[1], drain: 1'b0, copy: busy[2] && !pool_q,
                       pool: busy[2] && pool_q, gate: busy[3] && !exits_q,
                       exits: busy[3] && exits_q, move: busy[4]};
  always_comb begin
    for (int unsigned u = 0; u < Units; u++) begin
      busy[u] = busy_q[u] && busy_i[u] && 32'(age_q[u]) < Busy;
    end
  end

  ps_sequencer u_sequencer (
    .clk_i,
    .rst_ni,
    .start_i,
    .done_o          (done),
    .running_o       (running),
    .stop_o          (stop),
    .error_o         (),
    .position_o      (),
    .image_o         (),
    .run_i           ('{n_images: images_q, config_hash: hash_i, default: '0}),
    .image_input_o   (),
    .image_output_o  (),
    .restart_o       (restart),
    .restart_index_o (restart_index),
    .desc_valid_i    (desc_valid),
    .desc_ready_o    (desc_ready),
    .desc_i          (desc),
    .desc_at_end_i   (next_q >= count_q),
    .check_error_i   (check_i),
    .score_addr_o    (),
    .score_i,
    .list_count_i,
    .list_bound_i,
    .n_in_o          (),
    .n_out_o         (),
    .starts_o        (unit_starts),
    .busy_i          (unit_busy),
    .exit_taken_i    (taken_i),
    .sums_busy_o     (),
    .score_hold_o    (),
    .memory_hold_o   (),
    .masters_busy_i  (masters_busy_i && running && 32'(age_stop_q) < Busy),
    .read_error_i    (1'b0),
    .write_error_i   (1'b0),
    .hung_i          (1'b0),
    .counters_clear_o(),
    .outcome_o       (),
    .exit_o          ()
  );

  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    if (unit_starts.copy) pool_q <= desc.op == OP_POOL;
    if (unit_starts.gate || unit_starts.exits) exits_q <= unit_starts.exits;
    past_q  <= rst_ni;
    age_stop_q <= !stop ? '0 : (32'(age_stop_q) < Busy) ? age_stop_q + 3'd1 : age_stop_q;
    for (int unsigned u = 0; u < Units; u++) begin
      if (!rst_ni || stop) busy_q[u] <= 1'b0;
      else if (starts[u]) busy_q[u] <= 1'b1;
      else busy_q[u] <= busy[u];
      age_q[u] <= (starts[u] || !busy[u]) ? '0 : age_q[u] + 3'd1;
    end
    if (restart) next_q <= restart_index;
    else if (desc_ready) next_q <= next_q + 32'd1;
    shown_q    <= !restart && !desc_ready && desc_valid;
    age_next_q <= (restart || desc_ready || !running) ? '0
        : (32'(age_next_q) < Wait) ? age_next_q + 3'd1 : age_next_q;
    if (!running) image_q <= '0;
    else if (restart && !jump) image_q <= image_q + 32'd1;
    since_q <= (!rst_ni || !running || restart || desc_ready || done) ? '0 : since_q + 32'd1;
  end

  always_comb begin
    assume (rst_ni == begun_q);
    assume (count_q <= Descriptors && images_q != '0 && images_q <= 32'd3);
    if (running) assume (!start_i);
    // ps_check refuses any other HALT or EXIT_IF and every unknown operation.
    for (int unsigned i = 0; i < Descriptors; i++) begin
      assume (program_q[i].op >= OP_LOAD && program_q[i].length < count_q);
      assume (program_q[i].op != OP_EXIT_IF || program_q[i].length > i);
    end
  end

  always_comb if (begun_q && past_q && rst_ni) begin
    a_steps: assert (since_q <= Limit);
    a_on: assert (!desc_ready || (running && desc_valid && next_q < count_q));
    a_forward: assert (!jump || restart_index > next_q);
    a_later: assert (!running || !restart || jump || image_q + 32'd1 < images_q);
    a_inside: assert (!running || next_q <= count_q);
    a_image: assert (!running || (u_sequencer.image_q + 32'(ahead) == image_q && image_q < images_q));
    a_done: assert (!done || running);
    a_starts: assert (starts == '0 || (running && !stop));
    a_not_busy: assert ((starts & busy) == '0);
  end

  always_ff @(posedge clk_i) if (begun_q && rst_ni) begin
    c_two_images: cover (done && image_q == 32'd1 && next_q == count_q - 32'd1);
    c_exit: cover (jump && restart_index == 32'd2 && next_q == '0);
    c_slow: cover (since_q == 32'd6 && busy != '0);
    c_no_halt: cover (done && next_q == count_q && count_q == Descriptors);
  end
endmodule
