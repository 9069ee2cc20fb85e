// The fetch controller (ps_weight_request with its ps_list_walk) and a list memory with any list.
//
// A convolution of a given shape with any list is started once.  One row of weights - in
// interleaved layout one chunk, of one group - is chosen by the solver; the bench watches whether
// the reads touch it.  Never if its channel was skipped, and exactly once, whole, if it survives.
// The same for the parameters of a group in interleaved layout.
//
// The second half names the states in between, which is what makes the induction converge.
module fetch_bench
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
#(
  parameter bit Rows = 1'b1,
  parameter int unsigned Kernel = 1,
  parameter int unsigned Channels = 4  // in and out
) (
  input logic            clk_i,
  input logic            rst_ni,
  input logic            release_i,
  input logic            req_ready_i
);
  // Registers without a first value that keep what they have: the solver's choice.
  logic [Channels-1:0][CH_W-2:0] entries_q;
  logic [CH_W-1:0] count_q, channel_q;  // of the list; the one that is watched
  logic all_q;
  logic [LI_W-1:0] list_q;
  logic [1:0] split_q;
  logic group_q;
  always_ff @(posedge clk_i) begin
    entries_q <= entries_q;
    count_q   <= count_q;
    channel_q <= channel_q;
    all_q     <= all_q;
    list_q    <= list_q;
    split_q   <= split_q;
    group_q   <= group_q;
  end

  // ---- the convolution
  localparam int unsigned TAPS = 32'(row_taps(3'(Kernel), Rows));
  localparam int unsigned CHUNK_BYTES = TAPS * P_OC;
  localparam int unsigned ROW_BYTES = 8 + (Channels * TAPS + 7) / 8 * 8;
  localparam int unsigned GROUP_BYTES = 8 * P_OC + Channels * CHUNK_BYTES;
  localparam int unsigned STRIDE = Rows ? ROW_BYTES : GROUP_BYTES + 8;
  localparam logic [15:0] ADDRESS = 16'h0FD8;  // of the weights: 0x0FC0 of the blob, 0x18 in it

  desc_t desc;
  logic [7:0] list;
  assign list = all_q ? ALL_CHANNELS : 8'(list_q);
  always_comb begin
    desc = '0;
    desc.op = OP_CONV;
    desc.w_rows = Rows;
    desc.kernel = 4'(Kernel);
    desc.cin = 16'(Channels);
    desc.cout = 16'(Channels);
    desc.in_list = Rows ? ALL_CHANNELS : list;
    desc.out_list = Rows ? list : ALL_CHANNELS;
    desc.w_stride = 32'(STRIDE);
    desc.w_addr = 32'h18;
    desc.split = 16'(split_q);
  end

  logic start, begun_q = 1'b0, ran_q, running_q, ready_wait_q;
  logic busy, req_valid, accepted, group_valid;
  mem_request_t req;
  group_t group;
  logic [63:0] req_addr;
  logic [15:0] req_beats;
  logic [LI_W+CH_W-2:0] list_addr;
  logic [CH_W-2:0] list_data_q;
  logic [2:0] held_q;  // halves of the weight buffer whose first read was taken
  logic fresh_q;       // a group was announced, none of its reads taken

  ps_weight_request u_request (
    .clk_i,
    .rst_ni,
    .start_i      (start),
    .desc_i       (desc),
    .n_in_i       (Rows ? CH_W'(Channels) : count_q),
    .n_out_i      (Rows ? count_q : CH_W'(Channels)),
    .weights_i    (64'h0FC0),
    .release_i,
    .busy_o       (busy),
    .list_addr_o  (list_addr),
    .list_data_i  (list_data_q),
    .group_o      (group),
    .row_o        (),
    .req_o        (req),
    .req_ready_i
  );
  assign {req_valid, req_addr, req_beats} = req;
  assign group_valid = group.valid;
  assign accepted = req_valid && req_ready_i;

  always_ff @(posedge clk_i) list_data_q <= entries_q[list_addr[1:0]];

  // ---- what the gate unit guarantees of a list, and the controller of the halves
  assign start = begun_q && rst_ni && !ran_q;

  always_comb begin
    assume (rst_ni == begun_q);
    assume (count_q <= CH_W'(Channels) && channel_q < CH_W'(Channels));
    if (all_q) assume (count_q == CH_W'(Channels));
    for (int unsigned i = 0; i < Channels; i++) begin
      if (!all_q && i < 32'(count_q)) begin
        assume (32'(entries_q[i]) < Channels);
        if (i > 0) assume (entries_q[i] > entries_q[i-1]);
      end
    end
    if (Rows) assume (count_q != '0);  // nothing to compute: nothing is fetched
    if (release_i) assume (held_q != '0);
    assume (32'(group_q) * P_OC < Channels);
  end

  // ---- the chosen row or chunk, and the parameters of the chosen group
  logic survives, hit, whole, hit_params, whole_params;
  logic [15:0] first, last, params, address, past;
  logic [1:0] times_q, times_params_q;

  always_comb begin
    survives = all_q;
    for (int unsigned i = 0; i < Channels; i++) begin
      if (i < 32'(count_q) && {1'b0, entries_q[i]} == channel_q) survives = 1'b1;
    end
    params = ADDRESS + (group_q ? 16'(STRIDE) : 16'd0);
    first = Rows ? ADDRESS + 16'(ROW_BYTES) * 16'(channel_q)
                 : params + 16'(8 * P_OC) + 16'(CHUNK_BYTES) * 16'(channel_q);
    last = first + 16'(Rows ? ROW_BYTES : CHUNK_BYTES);
    address = req_addr[15:0];
    past = address + {req_beats[12:0], 3'd0};
    hit = req_valid && req_ready_i && address < last && past > first;
    whole = address <= first && past >= last;
    hit_params = req_valid && req_ready_i && address < params + 16'(8 * P_OC) && past > params;
    whole_params = address <= params && past >= params + 16'(8 * P_OC);
  end

  always_ff @(posedge clk_i) begin
    begun_q   <= 1'b1;
    running_q <= busy && rst_ni;
    ready_wait_q <= rst_ni && req_valid && !req_ready_i;
    if (!rst_ni) begin
      ran_q   <= 1'b0;
      times_q <= '0;
      times_params_q <= '0;
      held_q  <= '0;
      fresh_q <= 1'b0;
    end else begin
      if (start) ran_q <= 1'b1;
      if (hit && times_q != 2'd3) times_q <= times_q + 2'd1;
      if (hit_params && times_params_q != 2'd3) times_params_q <= times_params_q + 2'd1;
      held_q <= held_q + 3'(fresh_q && accepted) - 3'(release_i);
      fresh_q <= group_valid || (fresh_q && !accepted);
    end
  end

  always_comb if (begun_q && rst_ni) begin
    if (hit) begin
      a_not_skipped: assert (survives);
      a_once: assert (times_q == '0);
      a_whole: assert (whole);
    end
    if (running_q && !busy) a_every_survivor: assert (times_q == 2'(survives));
    if (!Rows && hit_params) begin
      a_params_once: assert (times_params_q == '0);
      a_params_whole: assert (whole_params);
    end
    if (!Rows && running_q && !busy) a_params: assert (times_params_q == 2'd1);
    if (ready_wait_q) a_held: assert (req_valid);
    if (req_valid) a_near: assert (req_beats != '0 && req_beats < 16'd64 && req_addr[2:0] == '0
        && req_addr[63:13] == '0);
    a_halves: assert (held_q <= 3'd2);
  end

  // ---- the way there: n_q reads done (rows), or of group group_done_q f_q ids (interleaved)
  typedef enum logic [2:0] {Idle, Group, Announce, Walk, Multiply, Request} state_e;
  state_e state;
  logic [2:0] done_q, taken_q, covered_q, fill, ahead;
  logic [1:0] group_done_q;
  logic listed, walks;

  assign state = state_e'(u_request.state_q);
  assign listed = !all_q && count_q != '0;
  assign walks = Rows ? ran_q : ran_q && listed && state != Idle && state != Group;
  assign fill = u_request.u_walk.fill;
  assign ahead = taken_q + fill + 3'(u_request.u_walk.issued_q);

  function automatic logic [CH_W-1:0] entry(logic [2:0] index);
    return all_q ? CH_W'(index) : {1'b0, entries_q[index[1:0]]};
  endfunction

  function automatic logic among(logic [2:0] limit);  // the channel is one of the first ids
    among = 1'b0;
    for (int unsigned i = 0; i < Channels; i++) begin
      if (i < 32'(limit) && entry(3'(i)) == channel_q) among = 1'b1;
    end
  endfunction

  always_ff @(posedge clk_i) begin
    if (!rst_ni || start) begin
      done_q       <= '0;
      group_done_q <= '0;
    end else if (accepted) begin
      done_q <= done_q + 3'd1;
      if (u_request.params_q ? !listed : u_request.run_end_q) group_done_q <= group_done_q + 2'd1;
    end
    if (!rst_ni || u_request.walk_start) begin
      taken_q   <= '0;
      covered_q <= '0;
    end else begin
      if (u_request.id_take) taken_q <= taken_q + 3'd1;
      if (accepted && !u_request.params_q) covered_q <= taken_q;
    end
  end

  always_comb if (begun_q && rst_ni) begin
    i_halves: assert (32'(u_request.free_q) + 32'(held_q)
        + 32'(fresh_q && !u_request.waits_q) == 2);
    i_waits: assert (u_request.waits_q ? fresh_q || state == Announce : state != Announce);
    if (fresh_q) i_fresh: assert (state > Announce && (Rows || u_request.params_q));
    i_head_first: assert (Rows || state <= Announce || fresh_q == u_request.params_q);
    i_before: assert (ran_q || (state == Idle && times_q == '0 && times_params_q == '0));
    i_state: assert (state <= Request);
    if (state == Request) i_near: assert (req_beats != '0 && req_beats < 16'd64
        && req_addr[2:0] == '0 && req_addr[63:13] == '0);
    // The walk hands out the list in order.
    if (!walks && (state != Idle || !Rows)) begin
      if (!listed || !ran_q) i_no_walk: assert (!u_request.u_walk.active_q
          && !u_request.u_walk.issued_q && fill == '0);
    end
    if (walks) begin
      i_all: assert (u_request.u_walk.all_q == (Rows && all_q) && !u_request.u_walk.loop_q);
      i_list: assert (u_request.u_walk.last_q == count_q - CH_W'(1)
          && (all_q || u_request.u_walk.list_q == list_q));
      i_fill: assert (fill <= 3'd4 && fill + 3'(u_request.u_walk.issued_q) <= 3'd4);
      i_ahead: assert (CH_W'(taken_q) <= count_q && CH_W'(taken_q + fill) <= count_q
          && CH_W'(ahead) <= count_q && 32'(taken_q) + 32'(fill) <= Channels
          && 32'(taken_q) <= Channels && 32'(ahead) <= Channels);
      if (u_request.u_walk.active_q) i_position: assert (u_request.u_walk.pos_q == CH_W'(ahead)
          && CH_W'(ahead) < count_q);
      else i_issued: assert (CH_W'(ahead) == count_q);
      if (u_request.u_walk.issued_q) begin
        i_read: assert (u_request.u_walk.issued_pos_q == CH_W'(taken_q + fill)
            && u_request.u_walk.issued_last_q == (CH_W'(taken_q + fill) == count_q - CH_W'(1))
            && (all_q || {1'b0, list_data_q} == entry(taken_q + fill)));
      end
      i_pointer: assert (u_request.u_walk.u_fifo.wr_ptr_q
          == u_request.u_walk.u_fifo.rd_ptr_q + fill[1:0]);
      for (int unsigned j = 0; j < 4; j++) begin
        if (j < 32'(fill)) begin
          assert (u_request.u_walk.u_fifo.mem_q[2'(32'(u_request.u_walk.u_fifo.rd_ptr_q) + j)]
              == {CH_W'(taken_q) + CH_W'(j) == count_q - CH_W'(1), CH_W'(taken_q) + CH_W'(j),
                  entry(taken_q + 3'(j))});
        end
      end
    end
    if (Rows) begin
      if (ran_q) begin
        i_rows: assert (u_request.w_rows_q && !u_request.listed_q && u_request.base_q == 64'(ADDRESS)
            && u_request.stride_q == 20'(STRIDE) && 32'(u_request.first_mode_q) < MODES);
        i_done: assert (CH_W'(done_q) <= count_q && 32'(done_q) <= Channels);
        i_times: assert (times_q == 2'(among(done_q)));
        unique case (state)
          Idle: i_idle: assert (CH_W'(done_q) == count_q);
          Group: i_group: assert (taken_q == done_q
              && u_request.left_q == count_q - CH_W'(done_q) && u_request.left_q != '0);
          Announce, Walk: i_walk: assert (!u_request.listed_q && taken_q == done_q && u_request.count_q == '0
              && !u_request.params_q && !u_request.run_end_q && u_request.rows_left_q != '0
              && 32'(u_request.rows_left_q) <= P_OC
              && u_request.left_q <= count_q
              && u_request.left_q + CH_W'(u_request.rows_left_q) == count_q - CH_W'(done_q));
          Multiply: i_multiply: assert (taken_q == done_q + 3'd1 && CH_W'(done_q) < count_q
              && !u_request.params_q && u_request.first_q == entry(done_q)
              && u_request.count_q == CH_W'(1)
              && u_request.rows_left_q != '0 && 32'(u_request.rows_left_q) <= P_OC
              && u_request.run_end_q == (CH_W'(taken_q) == count_q)
              && u_request.left_q <= count_q
              && u_request.left_q + CH_W'(u_request.rows_left_q) == count_q - CH_W'(done_q));
          default: i_request: assert (!u_request.params_q && taken_q == done_q + 3'd1
              && CH_W'(done_q) < count_q
              && u_request.first_q == entry(done_q)
              && address == ADDRESS + 16'(ROW_BYTES) * 16'(entry(done_q))
              && req_beats == 16'(ROW_BYTES / 8)
              && 32'(u_request.rows_left_q) < P_OC
              && u_request.rows_end_q == (u_request.rows_left_q == '0)
              && u_request.run_end_q == (CH_W'(taken_q) == count_q)
              && u_request.left_q <= count_q
              && u_request.left_q + CH_W'(u_request.rows_left_q)
                 == count_q - CH_W'(done_q) - CH_W'(1));
        endcase
      end
    end else if (ran_q) begin
      i_groups: assert (!u_request.w_rows_q && u_request.listed_q == listed
          && u_request.n_in_q == count_q && u_request.list_q == (all_q ? '1 : list_q)
          && u_request.chunk_q == 13'(CHUNK_BYTES / 8) && u_request.stride_q == 20'(STRIDE)
          && u_request.walked_beats_q == 16'(count_q) * 16'(CHUNK_BYTES / 8)
          && u_request.group_addr_q == 64'(ADDRESS) + 64'(STRIDE) * 64'(group_done_q)
          && 32'(group_done_q) * P_OC <= Channels && 32'(u_request.first_mode_q) < MODES);
      i_left: assert (32'(u_request.left_q) + 32'(group_done_q) * P_OC
          + ((state == Idle || state == Group) ? 0 : P_OC) == Channels);
      i_end: assert ((32'(group_done_q) * P_OC == Channels) == (state == Idle));
      i_chunk_times: assert (times_q == 2'(group_done_q > 2'(group_q) ? survives
          : group_done_q == 2'(group_q) && listed && walks ? among(covered_q) : 1'b0));
      i_params: assert (times_params_q == 2'(group_done_q > 2'(group_q)
          || (group_done_q == 2'(group_q) && state > Announce && !u_request.params_q)));
      if (state == Announce || (state >= Multiply && u_request.params_q)) begin
        i_head: assert (u_request.params_q && (listed ? covered_q == '0
            : u_request.count_q == '0 && !u_request.run_end_q));
        if (state == Request) i_head_read: assert (address == 16'(u_request.group_addr_q)
            && req_beats == 16'(P_OC) + (listed ? 16'd0 : u_request.walked_beats_q));
      end
      i_not_walk: assert (state != Walk || (listed && !u_request.params_q));
      if (state > Announce ? !u_request.params_q || listed : state == Announce && listed) begin
        i_run: assert (listed && covered_q <= taken_q
            && u_request.count_q == CH_W'(taken_q - covered_q)
            && u_request.run_beats_q == 16'(u_request.count_q) * 16'(CHUNK_BYTES / 8)
            && CH_W'(covered_q) < count_q
            && (taken_q == covered_q || (u_request.first_q == entry(covered_q)
                && u_request.after_q == u_request.first_q + u_request.count_q))
            && u_request.run_end_q == (CH_W'(taken_q) == count_q)
            && (state == Walk || u_request.params_q || taken_q != covered_q));
        for (int unsigned j = 0; j < Channels; j++) begin
          if (j >= 32'(covered_q) && j < 32'(taken_q)) begin
            assert (32'(entry(3'(j))) == 32'(u_request.first_q) + j - 32'(covered_q));
          end
        end
        if (state == Request && !u_request.params_q) i_run_read: assert (
            address == 16'(u_request.group_addr_q) + 16'(8 * P_OC)
                + 16'(u_request.first_q) * 16'(CHUNK_BYTES)
            && req_beats == 16'(u_request.count_q) * 16'(CHUNK_BYTES / 8));
      end
    end
  end

  always_ff @(posedge clk_i) if (begun_q && rst_ni) begin
    c_end_all: cover (running_q && !busy && all_q);
    c_end_skipped: cover (running_q && !busy && !survives && count_q == CH_W'(2));
    c_end_survived: cover (running_q && !busy && survives && !all_q && count_q == CH_W'(3));
    if (!Rows) c_end_empty: cover (running_q && !busy && count_q == '0);
  end
endmodule
