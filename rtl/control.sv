/// The registers of the accelerator on an AXI4-Lite slave: start and stop, weight addresses, frame and cycle counters.
///
/// Registers (32 bits; r/w where said, else read-only; unknown addresses read 0, every response is OKAY)
///   0x00 CTRL               r/w  bit 0 enable: while 0 the core is held in reset; bit 1 soft reset: write 1 to hold the core in
///                                reset for 16 cycles; bit 2 clear: write 1 to clear all counters, which takes up to 2*Layers cycles
///                                in which nothing is counted (also after rst_ni). Bits 1 and 2 read 1 until done
///   0x04 STATUS                  bit 0 idle: no frame is in the core, not even in part; bit 1 AXI error (weights)
///   0x08 FRAMES_IN               frames whose last input beat was taken
///   0x0C FRAMES_OUT              frames whose last logit was taken
///   0x10 CYCLES_LOW              cycles while enabled, 64 bits; reading the low half stores the high half
///   0x14 CYCLES_HIGH             the half stored then
///   0x18 INTERVAL                cycles between the last logits of the two newest frames; 0 before there are two
///   0x1C LATENCY                 cycles from the first input beat of the newest finished frame to its last logit
///   0x20 FRAMES_PER_PACKET  r/w  TLAST goes with the last logit of every so many frames; 0 counts as 1; writing starts a packet
///   0x24 LAYERS                  number of layers
///   0x28 CLOCK_KHZ
///   0x30 .. 0x3C BUILD_ID        low word first
///   0x40 + 4*i WEIGHT_BASE  r/w  byte address of weight region i, i < Ports; write while the core is in reset
///   0x80 + 16*l             layer l: +0 frames done, +4 busy cycles (a beat left the layer), +8 stall cycles (beat, but its consumer
///                                not ready), +12 starve cycles (consumer ready, but no beat)
///
/// A reset of the core (bit 0 low, or soft) forgets the frames in the core; FRAMES_IN then stays ahead of FRAMES_OUT by them, so wait
/// for STATUS idle and not for equal counts. Counters survive it and count modulo 2**32; only `rst_ni` and CTRL clear reset them.
/// At most 64 frames are in the core at once, or LATENCY is wrong.
///
/// The counters of the layers lie in memory: a scan visits a layer each cycle and adds what small counters collected since. The
/// read of a layer waits for the scan and is exact two cycles before the one that answers it; it may take Layers + 5 cycles.
module control #(
    parameter int unsigned          Ports         = 4,                   // weight regions, 1 to 8
    parameter int unsigned          Layers        = 16,                  // 1 to 64
    parameter logic [Layers*32-1:0] BeatsPerFrame = {Layers{32'd1024}},  // of each layer's output, 32 bits each, layer 0 in the low bits
    parameter int unsigned          ClockKhz      = 100000,              // clock frequency, for software
    parameter logic [127:0]         BuildId       = 128'd0,              // identifies the bitstream, for software
    parameter int unsigned          AddressBits   = 12                   // of the slave; 12 cover all
) (
    input  logic                   clk_i,
    input  logic                   rst_ni,            // of the bus and of everything
    input  logic [AddressBits-1:0] s_axi_awaddr,      // AXI4-Lite slave
    input  logic [            2:0] s_axi_awprot,
    input  logic                   s_axi_awvalid,
    output logic                   s_axi_awready,
    input  logic [           31:0] s_axi_wdata,
    input  logic [            3:0] s_axi_wstrb,
    input  logic                   s_axi_wvalid,
    output logic                   s_axi_wready,
    output logic [            1:0] s_axi_bresp,
    output logic                   s_axi_bvalid,
    input  logic                   s_axi_bready,
    input  logic [AddressBits-1:0] s_axi_araddr,
    input  logic [            2:0] s_axi_arprot,
    input  logic                   s_axi_arvalid,
    output logic                   s_axi_arready,
    output logic [           31:0] s_axi_rdata,
    output logic [            1:0] s_axi_rresp,
    output logic                   s_axi_rvalid,
    input  logic                   s_axi_rready,
    output logic                   enable_o,          // the core runs: for weight_stream, and to gate the pixels (none may enter in reset)
    output logic                   core_rst_no,       // reset of the core, active low; equal to enable_o
    output logic [   Ports*32-1:0] weight_base_o,     // WEIGHT_BASE of all ports, 32 bits each
    input  logic                   error_i,           // weight_stream.error_o
    input  logic                   frame_in_start_i,  // the first input beat of a frame is taken; up for one cycle, as the next two
    input  logic                   frame_in_done_i,   // its last input beat is taken
    input  logic                   frame_out_done_i,  // its last logit is taken
    output logic                   packet_last_o,     // the frame whose logits come now is the last of its packet
    input  logic [     Layers-1:0] layer_valid_i,     // of the output stream of each layer
    input  logic [     Layers-1:0] layer_ready_i      // likewise
);

  localparam int unsigned WordBits = AddressBits - 2;  // addresses count 32-bit words from here on

  // synthesis translate_off
  initial begin
    if (Ports < 1 || Ports > 8) $fatal(1, "control: Ports is %0d, must be 1 to 8", Ports);
    if (Layers < 1 || Layers > 64) $fatal(1, "control: Layers is %0d, must be 1 to 64", Layers);
    if (2 ** AddressBits < 128 + 16 * Layers)
      $fatal(1, "control: AddressBits %0d do not reach layer %0d", AddressBits, Layers - 1);
  end
  // synthesis translate_on

  // ---------------------------------------------------------------- writes: address and data come in any order

  logic [WordBits-1:0] write_word_q;
  logic [31:0] write_data_q;
  logic [3:0] write_strobe_q;
  logic aw_q, w_q;  // address, data are there
  logic write;

  assign s_axi_awready = !aw_q;
  assign s_axi_wready  = !w_q;
  assign s_axi_bresp   = 2'b00;
  assign write         = aw_q && w_q && !s_axi_bvalid;

  always_ff @(posedge clk_i) begin
    if (s_axi_awready) write_word_q <= s_axi_awaddr[AddressBits-1:2];
    if (s_axi_wready) {write_data_q, write_strobe_q} <= {s_axi_wdata, s_axi_wstrb};

    if (!rst_ni) begin
      aw_q         <= 1'b0;
      w_q          <= 1'b0;
      s_axi_bvalid <= 1'b0;
    end else begin
      aw_q         <= aw_q ? !write : s_axi_awvalid;
      w_q          <= w_q ? !write : s_axi_wvalid;
      s_axi_bvalid <= s_axi_bvalid ? !s_axi_bready : write;
    end
  end

  // `old` with the bytes that the write strobes.
  function automatic logic [31:0] merge(input logic [31:0] old, input logic [31:0] data, input logic [3:0] strobe);
    merge = {
      strobe[3] ? data[31:24] : old[31:24],
      strobe[2] ? data[23:16] : old[23:16],
      strobe[1] ? data[15:8] : old[15:8],
      strobe[0] ? data[7:0] : old[7:0]
    };
  endfunction

  logic write_control, write_packet;
  assign write_control = write && write_word_q == WordBits'(0);
  assign write_packet  = write && write_word_q == WordBits'(8);

  for (genvar i = 0; i < Ports; i++) begin : gen_base
    logic [31:0] base_q;

    always_ff @(posedge clk_i) begin
      if (!rst_ni) base_q <= 32'd0;
      else if (write && write_word_q == WordBits'(16 + i)) base_q <= merge(base_q, write_data_q, write_strobe_q);
    end
    assign weight_base_o[i*32+:32] = base_q;
  end

  // ---------------------------------------------------------------- run, reset, clear

  logic enable_q, run_q;
  logic [4:0] reset_q;  // cycles of soft reset to come
  logic clear;          // until every counter is 0

  assign enable_o    = run_q;
  assign core_rst_no = run_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      enable_q <= 1'b0;
      reset_q  <= 5'd0;
      run_q    <= 1'b0;
    end else begin
      if (write_control && write_strobe_q[0]) enable_q <= write_data_q[0];
      if (write_control && write_strobe_q[0] && write_data_q[1]) reset_q <= 5'd16;
      else if (reset_q != 5'd0) reset_q <= reset_q - 5'd1;
      run_q <= enable_q && reset_q == 5'd0;
    end
  end

  // ---------------------------------------------------------------- frames

  logic [31:0] frames_in_q, frames_out_q, per_packet_q, in_packet_q, time_q, output_time_q, interval_q, latency_q;
  logic [31:0] cycles_high_stored_q;
  logic [63:0] cycles_q;
  logic [ 6:0] in_core_q;  // frames begun and not finished
  logic output_seen_q;     // output_time_q is that of a frame since the last reset or clear

  assign packet_last_o = in_packet_q + 32'd1 >= per_packet_q;

  always_ff @(posedge clk_i) begin
    time_q <= rst_ni ? time_q + 32'd1 : 32'd0;
    if (frame_out_done_i) output_time_q <= time_q;

    if (!rst_ni) per_packet_q <= 32'd1;
    else if (write_packet) per_packet_q <= merge(per_packet_q, write_data_q, write_strobe_q);

    if (!run_q || write_packet) in_packet_q <= 32'd0;
    else if (frame_out_done_i) in_packet_q <= packet_last_o ? 32'd0 : in_packet_q + 32'd1;

    if (!run_q) in_core_q <= 7'd0;
    else in_core_q <= in_core_q + 7'(frame_in_start_i) - 7'(frame_out_done_i);

    if (!rst_ni || clear) begin
      frames_in_q  <= 32'd0;
      frames_out_q <= 32'd0;
      cycles_q     <= 64'd0;
      interval_q   <= 32'd0;
    end else if (run_q) begin
      frames_in_q  <= frames_in_q + 32'(frame_in_done_i);
      frames_out_q <= frames_out_q + 32'(frame_out_done_i);
      cycles_q     <= cycles_q + 64'd1;
      if (frame_out_done_i && output_seen_q) interval_q <= time_q - output_time_q;
    end
    output_seen_q <= run_q && !clear && (output_seen_q || frame_out_done_i);
  end

  // Start times of the frames in the core.
  (* ram_style = "distributed" *) logic [31:0] starts[64];
  logic [31:0] start;
  logic [5:0] start_write_q, start_read_q;

  assign start = starts[start_read_q];

  always_ff @(posedge clk_i) begin
    if (frame_in_start_i) starts[start_write_q] <= time_q;
    if (!run_q) begin
      start_write_q <= 6'd0;
      start_read_q  <= 6'd0;
    end else begin
      start_write_q <= start_write_q + 6'(frame_in_start_i);
      start_read_q  <= start_read_q + 6'(frame_out_done_i);
    end
    if (!rst_ni || clear) latency_q <= 32'd0;
    else if (run_q && frame_out_done_i) latency_q <= time_q - start;
  end

  // ---------------------------------------------------------------- layers

  localparam int unsigned LayerBits = Layers > 1 ? $clog2(Layers) : 1;
  localparam int unsigned SmallBits = $clog2(Layers + 1);  // a small counter is emptied every Layers cycles

  logic [LayerBits-1:0] scan, scan_q;           // the layer whose small counters are emptied, and a cycle later its sums are written
  logic scan_last, clear_wanted_q, clearing_q;  // a clear is asked for; one scan writes zeros
  logic clear_q;                                // of scan_q
  logic [Layers*4*SmallBits-1:0] small_counts;
  logic [4*SmallBits-1:0] small_q;              // those of scan_q
  logic [127:0] layer_sums, layer_now;

  assign clear = clear_wanted_q || clearing_q;

  counter #(
      .Count(Layers)
  ) i_scan (
      .clk_i,
      .rst_ni,
      .step_i (1'b1),
      .count_o(scan),
      .last_o (scan_last)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      clear_wanted_q <= 1'b1;
      clearing_q     <= 1'b0;
    end else begin
      if (scan_last) clearing_q <= clear_wanted_q;
      if (write_control && write_strobe_q[0] && write_data_q[2]) clear_wanted_q <= 1'b1;
      else if (scan_last) clear_wanted_q <= 1'b0;
    end
  end

  for (genvar l = 0; l < Layers; l++) begin : gen_layer
    localparam int unsigned Beats    = BeatsPerFrame[l*32+:32];
    localparam int unsigned BeatBits = Beats > 1 ? $clog2(Beats) : 1;

    logic [BeatBits-1:0] unused_beat;
    logic valid_q, ready_q, last_beat, visit;  // valid and ready a cycle late: they may come along a long path
    logic [3:0] event_now;                     // frame, busy, stall, starve

    assign visit     = scan == LayerBits'(l);
    assign event_now = {!valid_q && ready_q, valid_q && !ready_q, valid_q && ready_q, valid_q && ready_q && last_beat};

    always_ff @(posedge clk_i) begin
      valid_q <= layer_valid_i[l] && run_q;
      ready_q <= layer_ready_i[l] && run_q;
    end

    counter #(
        .Count(Beats)
    ) i_beat (
        .clk_i,
        .rst_ni (run_q),
        .step_i (valid_q && ready_q),
        .count_o(unused_beat),
        .last_o (last_beat)
    );

    for (genvar k = 0; k < 4; k++) begin : gen_counter
      logic [SmallBits-1:0] count_q;

      always_ff @(posedge clk_i) begin
        if (clear) count_q <= SmallBits'(0);
        else count_q <= (visit ? SmallBits'(0) : count_q) + SmallBits'(event_now[k]);
      end
      assign small_counts[(l*4+k)*SmallBits+:SmallBits] = count_q;
    end
  end

  (* ram_style = "distributed" *) logic [127:0] sums[Layers];

  assign layer_sums = sums[scan_q];
  for (genvar k = 0; k < 4; k++) begin : gen_sum
    assign layer_now[k*32+:32] = clear_q ? 32'd0 : layer_sums[k*32+:32] + 32'(small_q[k*SmallBits+:SmallBits]);
  end

  always_ff @(posedge clk_i) begin
    scan_q  <= scan;
    clear_q <= clear;
    small_q <= small_counts[scan*4*SmallBits+:4*SmallBits];
    sums[scan_q] <= layer_now;
  end

  // ---------------------------------------------------------------- reads

  logic [WordBits-1:0] read_word_q, layer_word;
  logic ar_q, is_layer, answer;  // an address is there; its answer is
  logic [31:0] register, layer_register, layer_register_q;  // what is read; a counter of a layer, and one cycle later
  logic layer_found_q;  // the scan was at the layer that is read

  assign s_axi_arready  = !ar_q;
  assign s_axi_rresp    = 2'b00;
  assign layer_word     = read_word_q - WordBits'(32);
  assign is_layer       = read_word_q >= WordBits'(32) && read_word_q < WordBits'(32 + 4 * Layers);
  assign layer_register = layer_now[layer_word[1:0]*32+:32];
  assign answer         = ar_q && !s_axi_rvalid && (!is_layer || layer_found_q);

  always_comb begin
    case (read_word_q)
      WordBits'(0): register = {29'd0, clear, reset_q != 5'd0, enable_q};
      WordBits'(1): register = {30'd0, error_i, in_core_q == 7'd0};
      WordBits'(2): register = frames_in_q;
      WordBits'(3): register = frames_out_q;
      WordBits'(4): register = cycles_q[31:0];
      WordBits'(5): register = cycles_high_stored_q;
      WordBits'(6): register = interval_q;
      WordBits'(7): register = latency_q;
      WordBits'(8): register = per_packet_q;
      WordBits'(9): register = 32'(Layers);
      WordBits'(10): register = 32'(ClockKhz);
      WordBits'(12): register = BuildId[31:0];
      WordBits'(13): register = BuildId[63:32];
      WordBits'(14): register = BuildId[95:64];
      WordBits'(15): register = BuildId[127:96];
      default: register = 32'd0;
    endcase
    for (int unsigned i = 0; i < Ports; i++) if (read_word_q == WordBits'(16 + i)) register = weight_base_o[i*32+:32];
    if (is_layer) register = layer_register_q;
  end

  always_ff @(posedge clk_i) begin
    if (s_axi_arready) read_word_q <= s_axi_araddr[AddressBits-1:2];
    if (answer) s_axi_rdata <= register;
    layer_register_q <= layer_register;
    layer_found_q    <= ar_q && !answer && layer_word[WordBits-1:2] == (WordBits - 2)'(scan_q);
    if (answer && read_word_q == WordBits'(4)) cycles_high_stored_q <= cycles_q[63:32];

    if (!rst_ni) begin
      ar_q         <= 1'b0;
      s_axi_rvalid <= 1'b0;
    end else begin
      ar_q         <= ar_q ? !answer : s_axi_arvalid;
      s_axi_rvalid <= s_axi_rvalid ? !s_axi_rready : answer;
    end
  end

  logic unused;
  assign unused = &{1'b0, s_axi_awprot, s_axi_arprot, s_axi_awaddr[1:0], s_axi_araddr[1:0]};

endmodule
