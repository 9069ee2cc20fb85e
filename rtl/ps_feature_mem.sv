// Feature memory: WB byte banks with an unaligned window on each of two ports.
//
// Byte address x lies in bank x % WB, row x / WB, so any WB consecutive bytes touch every bank
// once.
// Lane i of a window is the byte at address + i.  Addresses wrap at the end.
//
// Port A reads P_PX << a_mode_i bytes (the window of the array's shape) but at least FB; further
// lanes are stale.
// Port B reads or writes FB bytes in two halves: lane i of the upper half, FB/2 .. FB-1, is the byte
// at b_upper_i + i.  It must be congruent to b_addr_i modulo FB (then no two lanes share a bank); a
// plain window sets it equal.
// Data follow three cycles after the address, one window a cycle; a_read_i and b_read_i let the
// output registers move.  A write takes effect for reads whose address comes a cycle later.
module ps_feature_mem
  import ps_cfg::*;
(
  input  logic                clk_i,
  input  logic                a_read_i,
  input  logic [1:0]          a_mode_i,
  input  logic [FA_W-1:0]     a_addr_i,
  output logic [WB-1:0][7:0]  a_data_o,
  input  logic                b_read_i,
  input  logic [FA_W-1:0]     b_addr_i,
  /* verilator lint_off UNUSEDSIGNAL */  // modulo FB it is b_addr_i
  input  logic [FA_W-1:0]     b_upper_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic [FB-1:0]       b_mask_i,  // write enables, lane by lane
  input  logic [FB-1:0][7:0]  b_data_i,
  output logic [FB-1:0][7:0]  b_data_o
);
  localparam int unsigned ARot = $clog2(WB);
  localparam int unsigned BRot = $clog2(FB);
  localparam int unsigned RowWidth = FA_W - ARot;
  localparam int unsigned Sections = WB / FB;
  localparam int unsigned SectionWidth = (Sections > 1) ? $clog2(Sections) : 1;

  logic [FB-1:0][7:0] a_section [Sections], b_section [Sections];

  function automatic logic [SectionWidth-1:0] section_of(logic [FA_W-1:0] addr);
    return (Sections > 1) ? SectionWidth'(addr >> BRot) : '0;
  endfunction

  // ---- port A: the banks' bytes, turned so that the first one comes to lane 0
  logic [ARot-1:0] a_rot, a_rot_q1, a_rot_q2;
  logic [WB-1:0][7:0] a_banks, a_turned;
  logic [1:0] a_mode_q1, a_mode_q2;
  logic [RowWidth-1:0] a_row_q, a_row_next_q;
  logic [WB-1:0] a_wrapped_q;
  logic [Sections-1:0] a_enable_q;
  logic a_read_q1, a_read_q2;

  assign a_rot = a_addr_i[ARot-1:0];

  // Sections with a byte of the window: those it is long, and one more if it begins within one.
  function automatic logic [Sections-1:0] touched(logic [1:0] mode, logic [ARot-1:0] rot);
    logic [SectionWidth-1:0] distance;
    touched = '0;
    for (int unsigned s = 0; s < Sections; s++) begin
      distance = SectionWidth'(s) - section_of(FA_W'(rot));  // from the first one
      for (int unsigned m = 0; m < MODES; m++) begin
        if (mode == 2'(m)) begin
          touched[s] = 32'(distance) < ((P_PX << m) > FB ? (P_PX << m) / FB : 1)
              + 32'(rot[BRot-1:0] != '0);
        end
      end
    end
  endfunction

  // Banks below the first byte's hold the wrapped end of the window, one row further.
  always_ff @(posedge clk_i) begin
    a_read_q1    <= a_read_i;
    a_read_q2    <= a_read_q1;
    a_rot_q1     <= a_rot;
    a_rot_q2     <= a_rot_q1;
    a_row_q      <= a_addr_i[FA_W-1:ARot];
    a_row_next_q <= a_addr_i[FA_W-1:ARot] + RowWidth'(1);
    a_wrapped_q  <= (WB)'({{WB{1'b0}}, {WB{1'b1}}} << a_rot >> WB);
    a_enable_q   <= a_read_i ? touched(a_mode_i, a_rot) : '0;
    a_mode_q1  <= a_mode_i;
    a_mode_q2  <= a_mode_q1;
  end

  ps_rotate #(.Lanes(WB)) u_a_turn (
    .data_i(a_banks),
    .by_i  (a_rot_q2),
    .data_o(a_turned)
  );

  for (genvar s = 0; s < Sections; s++) begin : gen_window
    assign a_banks[s*FB+:FB] = a_section[s];
    always_ff @(posedge clk_i) begin
      if (a_read_q2 && s * FB < ((P_PX << a_mode_q2) > FB ? P_PX << a_mode_q2 : FB)) begin
        a_data_o[s*FB+:FB] <= a_turned[s*FB+:FB];
      end
    end
  end

  // ---- port B: FB positions, each a bank of one of the sections
  logic [FA_W-1:0] b_pos_addr_q [FB];
  logic [FB-1:0] b_pos_we_q;
  logic [FB-1:0][7:0] b_data_q, b_selected;
  logic [BRot-1:0] b_rot, b_rot_q1, b_rot_q2;
  logic [FB-1:0][7:0] b_placed, b_turned;
  logic [SectionWidth-1:0] b_section_q [FB];
  logic b_read_q1, b_read_q2, b_active_q;

  assign b_rot  = b_addr_i[BRot-1:0];

  // Down by all but b_rot: so many as its complement, and one more.
  ps_rotate #(.Lanes(FB)) u_b_place (
    .data_i(b_data_i),
    .by_i  (~b_rot),
    .data_o(b_placed)
  );

  ps_rotate #(.Lanes(FB)) u_b_turn (
    .data_i(b_selected),
    .by_i  (b_rot_q2),
    .data_o(b_turned)
  );

  // Position k serves lane k - b_rot, at an address that is k modulo FB: in the row of FB bytes where
  // its half begins, or, below b_rot, in the next one.
  typedef logic [FA_W-BRot-1:0] line_t;
  line_t lower, upper, lower_next, upper_next;
  assign lower      = b_addr_i[FA_W-1:BRot];
  assign upper      = b_upper_i[FA_W-1:BRot];
  assign lower_next = lower + line_t'(1);
  assign upper_next = upper + line_t'(1);

  always_ff @(posedge clk_i) begin
    logic [BRot-1:0] lane;
    line_t line;
    logic [FA_W-1:0] addr [FB];
    for (int unsigned k = 0; k < FB; k++) begin
      lane = BRot'(k) - b_rot;
      if (BRot'(k) < b_rot) line = lane[BRot-1] ? upper_next : lower_next;
      else line = lane[BRot-1] ? upper : lower;
      addr[k] = {line, BRot'(k)};
    end
    b_pos_addr_q <= addr;
  end

  always_ff @(posedge clk_i) begin
    logic [SectionWidth-1:0] section [FB];
    b_read_q1 <= b_read_i;
    b_active_q <= b_read_i || b_mask_i != '0;
    b_read_q2 <= b_read_q1;
    b_rot_q1  <= b_rot;
    b_rot_q2  <= b_rot_q1;
    b_pos_we_q <= FB'({b_mask_i, b_mask_i} << b_rot >> FB);
    b_data_q   <= {b_placed[0], b_placed[FB-1:1]};
    if (b_read_q1) begin
      for (int unsigned k = 0; k < FB; k++) section[k] = section_of(b_pos_addr_q[k]);
      b_section_q <= section;
    end
    if (b_read_q2) b_data_o <= b_turned;
  end

  always_comb begin
    b_selected = '0;
    if (b_read_q2) begin
      for (int unsigned k = 0; k < FB; k++) b_selected[k] = b_section[b_section_q[k]][k];
    end
  end

  logic [RowWidth-1:0] b_row [FB];
  logic [FB-1:0] b_here [Sections];
  always_comb begin
    for (int unsigned k = 0; k < FB; k++) b_row[k] = b_pos_addr_q[k][FA_W-1:ARot];
    b_here = '{default: '0};
    if (b_active_q) begin
      for (int unsigned k = 0; k < FB; k++) b_here[section_of(b_pos_addr_q[k])][k] = 1'b1;
    end
  end

  // ---- banks, in sections of FB neighbours: a section without work is still
  for (genvar s = 0; s < Sections; s++) begin : gen_section
    logic a_enable, b_enable;
    assign a_enable = a_enable_q[s];
    assign b_enable = b_here[s] != '0;

    ps_bank_ram #(.Banks(FB), .Depth(FMEM_BYTES / WB)) u_banks (
      .clk_i,
      .a_en_i      (a_enable),
      .a_next_i    (a_wrapped_q[s*FB+:FB]),
      .a_row_i     (a_row_q),
      .a_row_next_i(a_row_next_q),
      .a_data_o    (a_section[s]),
      .b_en_i      (b_enable),
      .b_we_i      (b_pos_we_q & b_here[s]),
      .b_addr_i    (b_row),
      .b_data_i    (b_data_q),
      .b_data_o    (b_section[s])
    );
  end
endmodule
