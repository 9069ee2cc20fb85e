// Whose the two ports of feature memory are: the multiplexers before them.
//
// Each port is that of the unit that was started last (ps_interlock keeps the others away), which
// is known a cycle before its first address.  No owner: CONV and DENSE, which share the ports by
// themselves.
module ps_feature_ports
  import ps_cfg::*;
  import ps_types::*;
(
  input  logic            clk_i,
  input  logic            rst_ni,
  /* verilator lint_off UNUSEDSIGNAL */  // the fetch has no part in it
  input  starts_t         starts_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic            is_copy_i,      // of the descriptor that starts
  input  logic            is_pool_i,
  input  logic            is_dense_i,

  input  window_t         window_i,       // CONV
  input  logic [FA_W-1:0] move_addr_i,    // LOAD, GLOAD, STORE: read
  input  logic [FA_W-1:0] exit_addr_i,    // EXIT_IF
  input  logic [FA_W-1:0] copy_addr_i,    // COPY
  input  logic [FA_W-1:0] pool_addr_i,    // POOL
  input  logic            pool_wide_i,    // reads 2 * FB bytes

  input  access_t         epilogue_i,     // CONV
  /* verilator lint_off UNUSEDSIGNAL */  // they have two bytes and eight: no other lane is switched
  input  access_t         dense_i,        // DENSE
  input  access_t         move_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  access_t         copy_i,
  input  logic [FA_W-1:0] copy_upper_i,
  input  access_t         pool_i,

  /* verilator lint_off UNUSEDSIGNAL */  // the assertions look at some of them
  input  busy_t           busy_i,
  /* verilator lint_on UNUSEDSIGNAL */

  output window_t         a_o,
  output access_t         b_o,
  output logic [FA_W-1:0] b_upper_o       // of the upper half's lanes
);
  typedef struct packed {
    logic move;
    logic exits;
    logic copy;
    logic pool;
  } owner_t;
  owner_t owner_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      owner_q <= '0;
    end else if (starts_i.move || starts_i.record || starts_i.exits || starts_i.copy
                 || starts_i.conv || (starts_i.gate && is_dense_i)) begin
      owner_q <= '{move: starts_i.move || starts_i.record, exits: starts_i.exits,
                   copy: starts_i.copy && is_copy_i, pool: starts_i.copy && is_pool_i};
    end
  end

  // A POOL with stride 2 reads 2 * FB bytes: the narrowest mode that gives them, if there is one.
  localparam logic [1:0] WidePool = 2 * FB > WB ? 2'd0 : 2'($clog2(2 * FB / P_PX));

  // ---- port A
  always_comb begin
    a_o = window_i;
    if (owner_q != '0) begin
      a_o.read = 1'b1;
      a_o.mode = owner_q.pool && pool_wide_i ? WidePool : 2'd0;
    end
    if (owner_q.move) a_o.addr = move_addr_i;
    if (owner_q.exits) a_o.addr = exit_addr_i;
    if (owner_q.copy) a_o.addr = copy_addr_i;
    if (owner_q.pool) a_o.addr = pool_addr_i;
  end

  // ---- port B
  always_comb begin
    b_o = epilogue_i;
    if (dense_i.mask != '0) begin
      b_o.addr = dense_i.addr;
      b_o.data[1:0] = dense_i.data[1:0];
    end
    if (owner_q.move) begin
      b_o.addr = move_i.addr;
      b_o.data[7:0] = move_i.data[7:0];
    end
    if (owner_q.copy) b_o = copy_i;
    if (owner_q.pool) b_o = pool_i;
    b_upper_o = owner_q.copy ? copy_upper_i : b_o.addr;
    // A unit without work reads nothing and has no mask.
    b_o.read = epilogue_i.read || dense_i.read || move_i.read || copy_i.read || pool_i.read;
    b_o.mask = epilogue_i.mask | dense_i.mask | move_i.mask | copy_i.mask | pool_i.mask;
  end

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      dense_i.mask != '0 |-> epilogue_i.mask == '0 && !epilogue_i.read && !busy_i.copy
          && !busy_i.pool && !busy_i.move)
    else $error("ps_feature_ports: two units use port B of the feature memory");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      (!busy_i.move || owner_q.move) && (!busy_i.exits || owner_q.exits)
      && (!busy_i.copy || owner_q.copy) && (!busy_i.pool || owner_q.pool)
      && (move_i.mask == '0 || owner_q.move) && (copy_i.mask == '0 || owner_q.copy)
      && (pool_i.mask == '0 || owner_q.pool)
      && (owner_q == '0 || !(window_i.read || epilogue_i.mask != '0 || epilogue_i.read
                             || dense_i.mask != '0)))
    else $error("ps_feature_ports: a unit uses feature memory that is not its own");
`endif
endmodule
