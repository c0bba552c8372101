/// Integer layer whose weights come as a stream, once a frame: every weight word is held while all windows of the frame use it.
/// What it computes of a window, and the files of its constants, are those of int_conv, Corrected.
///
/// The windows of a frame lie in one of two buffers (one fills while the other is used). For each weight word the controller walks
/// over the Pixels windows, one a cycle, and reads the beat that the word belongs to; Pe sums of Simd products are added to the
/// sums of the window. With the last word of Pe outputs the results go to one of two maps (output_maps), which leaves in pixel order.
///
/// Rate: NF*SF*Pixels cycles a frame (SF = Inputs/Simd, NF = Outputs/Pe), with no gap between words, passes or frames, while the
/// windows of the next frame and the next weight word (one every Pixels cycles) are there in time and the results leave (they take
/// Pixels*NF cycles). Latency: a frame's cycles and 10 more (Scaled: 11; Simd above 8: one more) from the last beat of the windows to
/// the first output.
/// A walk, once begun, never stalls: everything that it needs is waited for before its first window.
///
/// Stages: walk (address), 1 read, 2 operands, 3 products, 4 (and 5, from Simd 9 on) their sum, 5 or 6 the window's sum,
/// (scaled,) result, output map.
///
/// Weight word nf*SF + sf holds, as element e*Simd + i, the weight of output nf*Pe + e and input sf*Simd + i.
module int_stationary #(
    parameter int unsigned Pixels         = 16,     // windows a frame, at least 2
    parameter int unsigned Inputs         = 64,     // elements of a window
    parameter int unsigned Outputs        = 128,    // output channels
    parameter int unsigned Pe             = 1,      // outputs at a time, divides Outputs
    parameter int unsigned Simd           = 4,      // inputs at a time, divides Inputs
    parameter int unsigned InBits         = 8,      // of an input; 1: -1 and +1
    parameter int unsigned Masked         = 0,      // 1: a beat carries a mask; only with InBits 1
    parameter int unsigned WeightBits     = 8,      // of a weight; 1: -1 and +1
    parameter int unsigned OutBits        = 8,      // of an output
    parameter int unsigned AccBits        = 24,     // of a bias and of what is shifted
    parameter int unsigned Shift          = 0,      // right shift before the saturation, less than AccBits
    parameter int unsigned Even           = 0,      // 1: halves, which the biases add, go to the even neighbour (shift_saturate)
    parameter int unsigned Scaled         = 0,      // 1: there are multipliers
    parameter int unsigned SumBits        = InBits + WeightBits - 1 + $clog2(Inputs + 1),  // of a sum, where Scaled
    parameter int unsigned MultiplierBits = 8,      // of a multiplier, signed
    parameter              BiasFile       = "",     // for $readmemh
    parameter              MultiplierFile = "",     // for $readmemh, where Scaled
    parameter              MapStyle       = "auto",  // ram_style of the windows: auto, block, distributed
    parameter              OutputStyle    = "auto"   // of the outputs
) (
    input  logic                          clk_i,
    input  logic                          rst_ni,          // back to the start of a frame
    input  logic [Simd*InBits+Masked-1:0] in_data_i,       // Simd elements of a window, and the mask
    input  logic                          in_valid_i,
    output logic                          in_ready_o,
    input  logic [Pe*Simd*WeightBits-1:0] weight_data_i,   // Simd weights of Pe outputs; NF*SF words a frame
    input  logic                          weight_valid_i,
    output logic                          weight_ready_o,
    output logic [        Pe*OutBits-1:0] out_data_o,      // Pe signed outputs, in pixel order
    output logic                          out_valid_o,
    input  logic                          out_ready_i
);

  localparam int unsigned SF          = Inputs / Simd;
  localparam int unsigned NF          = Outputs / Pe;
  localparam int unsigned MapBeats    = Pixels * SF;
  localparam int unsigned AddressBits = $clog2(2 * MapBeats);
  localparam int unsigned PixelBits   = Pixels > 1 ? $clog2(Pixels) : 1;
  localparam int unsigned SfBits      = SF > 1 ? $clog2(SF) : 1;
  localparam int unsigned NfBits      = NF > 1 ? $clog2(NF) : 1;
  localparam logic        Signs       = InBits == 1 || WeightBits == 1;  // no multipliers
  localparam int unsigned DotBits     = InBits + WeightBits + $clog2(Signs ? Simd + 1 : Simd);
  localparam int unsigned Ranks       = Simd > 8 && !Signs ? 2 : 1;  // of dot_product
  localparam int unsigned Sums        = 3 + Ranks;         // the stage at which the products' sum is there
  localparam int unsigned RunningBits = Scaled != 0 ? SumBits : AccBits;

  // synthesis translate_off
  localparam logic [127:0] Style = 128'(MapStyle);
  initial begin
    if (Style != 128'("auto") && Style != 128'("block") && Style != 128'("distributed"))
      $fatal(1, "int_stationary: MapStyle %0s is none of auto, block, distributed", MapStyle);
    if (SF * Simd != Inputs) $fatal(1, "int_stationary: Simd %0d does not divide Inputs %0d", Simd, Inputs);
    if (NF * Pe != Outputs) $fatal(1, "int_stationary: Pe %0d does not divide Outputs %0d", Pe, Outputs);
    if (Scaled > 1) $fatal(1, "int_stationary: Scaled is %0d, must be 0 or 1", Scaled);
    if (Shift >= AccBits) $fatal(1, "int_stationary: Shift %0d is not less than AccBits %0d", Shift, AccBits);
  end
  // synthesis translate_on

  // ---------------------------------------------------------------- windows: filling

  (* ram_style = MapStyle *) logic [Simd*InBits+Masked-1:0] map[2*MapBeats];
  logic [AddressBits-1:0] fill;  // beat to write next, counts through both buffers
  logic [1:0] maps_q;            // full buffers
  logic fill_beat, fill_last, fill_done, map_done;

  assign in_ready_o = !maps_q[1];
  assign fill_beat  = in_valid_i && in_ready_o;
  assign fill_done  = fill_beat && (fill == AddressBits'(MapBeats - 1) || fill_last);

  counter #(
      .Count(2 * MapBeats)
  ) i_fill (
      .clk_i,
      .rst_ni,
      .step_i (fill_beat),
      .count_o(fill),
      .last_o (fill_last)
  );

  always_ff @(posedge clk_i) begin
    if (fill_beat) map[fill] <= in_data_i;

    if (!rst_ni) maps_q <= 2'd0;
    else maps_q <= maps_q + 2'(fill_done) - 2'(map_done);
  end

  // ---------------------------------------------------------------- walk: weight word by weight word, window by window

  logic [PixelBits-1:0] pixel;
  logic [SfBits-1:0] sf;
  logic [NfBits-1:0] nf;
  logic last_pixel, last_sf, last_nf, first_pixel, first_sf;
  logic step, word_step;               // to the next window; to the next weight word
  logic fetched, room, reserve;        // a weight word is there; an output map is free; it is taken
  logic leaving;                       // that word moves on: with one window the next one is not there before the cycle after
  logic buffer_q;                      // of the windows in use
  logic [AddressBits-1:0] address_q;   // of the beat
  logic [AddressBits-1:0] start_q, start_d;  // of the first window's beat for this word

  assign first_pixel = pixel == PixelBits'(0);
  assign first_sf    = sf == SfBits'(0);
  assign reserve     = first_pixel && last_sf && nf == NfBits'(0);
  assign step        = !first_pixel || (maps_q != 2'd0 && fetched && !leaving && (room || !reserve));
  assign word_step   = step && last_pixel;
  assign map_done    = word_step && last_sf && last_nf;

  counter #(
      .Count(Pixels)
  ) i_pixel (
      .clk_i,
      .rst_ni,
      .step_i (step),
      .count_o(pixel),
      .last_o (last_pixel)
  );
  counter #(
      .Count(SF)
  ) i_sf (
      .clk_i,
      .rst_ni,
      .step_i (word_step),
      .count_o(sf),
      .last_o (last_sf)
  );
  counter #(
      .Count(NF)
  ) i_nf (
      .clk_i,
      .rst_ni,
      .step_i (word_step && last_sf),
      .count_o(nf),
      .last_o (last_nf)
  );

  always_comb begin
    if (!last_sf) start_d = start_q + AddressBits'(1);
    else start_d = (buffer_q ^ last_nf) ? AddressBits'(MapBeats) : AddressBits'(0);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      buffer_q  <= 1'b0;
      address_q <= AddressBits'(0);
      start_q   <= AddressBits'(0);
    end else if (step) begin
      address_q <= last_pixel ? start_d : address_q + AddressBits'(SF);
      if (last_pixel) start_q <= start_d;
      if (map_done) buffer_q <= !buffer_q;
    end
  end

  // ---------------------------------------------------------------- stages 1 and 2: the beat and its weights

  logic [Simd*InBits+Masked-1:0] beat_q, x_q;
  logic [Pe*Simd*WeightBits-1:0] fetched_word, w_q;
  logic load_q;
  assign leaving = Pixels == 1 && load_q;
  logic [Sums:1] valid_q, first_q, last_q;  // by stage: a beat, of the first word of Pe outputs, of the last one

  // The fetched word moves on one cycle after its first window, and the next one may come during the rest of the walk.
  stream_register #(
      .Width(Pe * Simd * WeightBits)
  ) i_fetched (
      .clk_i,
      .rst_ni,
      .in_data_i  (weight_data_i),
      .in_valid_i (weight_valid_i),
      .in_ready_o (weight_ready_o),
      .out_data_o (fetched_word),
      .out_valid_o(fetched),
      .out_ready_i(load_q)
  );

  always_ff @(posedge clk_i) begin
    beat_q  <= map[address_q];
    x_q     <= beat_q;
    first_q <= {first_q[Sums-1:1], first_sf};
    last_q  <= {last_q[Sums-1:1], last_sf};
    if (load_q) w_q <= fetched_word;

    if (!rst_ni) begin
      load_q  <= 1'b0;
      valid_q <= '0;
    end else begin
      load_q  <= step && first_pixel;
      valid_q <= {valid_q[Sums-1:1], step};
    end
  end

  // ---------------------------------------------------------------- stages 3 to 5: products, their sum, the sums of the windows

  // A sum is written at the end of the cycle that reads it, so a window may come again in the next one.
  (* ram_style = "distributed" *) logic [Pe*RunningBits-1:0] sums[Pixels];
  logic [PixelBits-1:0] sum_pixel;
  logic [Pe*RunningBits-1:0] start, sum_d, sum_q;
  logic sum_valid_q, unused_sum_last;

  counter #(
      .Count(Pixels)
  ) i_sum_pixel (
      .clk_i,
      .rst_ni,
      .step_i (valid_q[Sums]),
      .count_o(sum_pixel),
      .last_o (unused_sum_last)
  );

  for (genvar e = 0; e < Pe; e++) begin : gen_pe
    logic signed [DotBits-1:0] dot_q;
    logic signed [RunningBits-1:0] so_far;

    dot_product #(
        .Simd      (Simd),
        .InBits    (InBits),
        .WeightBits(WeightBits),
        .Corrected (1),
        .Masked    (Masked)
    ) i_dot (
        .clk_i,
        .enable_i (1'b1),
        .inputs_i (x_q[Simd*InBits-1:0]),
        .weights_i(w_q[e*Simd*WeightBits+:Simd*WeightBits]),
        .masked_i (Masked != 0 && x_q[Simd*InBits+Masked-1]),
        .sum_o    (dot_q)
    );

    assign so_far = first_q[Sums] ? start[e*RunningBits+:RunningBits] : sums[sum_pixel][e*RunningBits+:RunningBits];
    assign sum_d[e*RunningBits+:RunningBits] = so_far + RunningBits'(dot_q);

    logic unused;  // bits that only repeat the sign, where small weights leave the sums narrower than Simd products could be
    assign unused = &dot_q;
  end

  always_ff @(posedge clk_i) begin
    if (valid_q[Sums]) sums[sum_pixel] <= sum_d;
    sum_q <= sum_d;
    if (!rst_ni) sum_valid_q <= 1'b0;
    else sum_valid_q <= valid_q[Sums] && last_q[Sums];
  end

  // ---------------------------------------------------------------- results

  logic [Pe*OutBits-1:0] results;
  logic results_valid;

  if (Scaled != 0) begin : gen_scaled
    logic unused_ready;

    assign start = {Pe * RunningBits{1'b0}};

    multiply_shift #(
        .P             (Pe),
        .Words         (NF),
        .Beats         (Pixels),
        .InBits        (SumBits),
        .MultiplierBits(MultiplierBits),
        .AccBits       (AccBits),
        .Shift         (Shift),
        .Even          (Even),
        .OutBits       (OutBits),
        .MultiplierFile(MultiplierFile),
        .OffsetFile    (BiasFile)
    ) i_scale (
        .clk_i,
        .rst_ni,
        .in_data_i  (sum_q),
        .in_valid_i (sum_valid_q),
        .in_ready_o (unused_ready),
        .out_data_o (results),
        .out_valid_o(results_valid),
        .out_ready_i(1'b1)
    );
  end else begin : gen_plain
    logic [Pe*OutBits-1:0] results_d, results_q;
    logic results_valid_q;

    channel_table #(
        .Words      (NF),
        .Width      (Pe * AccBits),
        .File       (BiasFile),
        .MemoryStyle("distributed"),
        .Beats      (Pixels)
    ) i_biases (
        .clk_i,
        .rst_ni,
        .step_i(valid_q[Sums] && last_q[Sums]),  // the word that starts the sums of a pass is that of all its beats
        .word_o(start)
    );

    for (genvar e = 0; e < Pe; e++) begin : gen_result
      shift_saturate #(
          .InBits (AccBits),
          .Shift  (Shift),
          .Even   (Even),
          .OutBits(OutBits)
      ) i_shift (
          .value_i(sum_q[e*AccBits+:AccBits]),
          .value_o(results_d[e*OutBits+:OutBits])
      );
    end

    always_ff @(posedge clk_i) begin
      results_q <= results_d;
      if (!rst_ni) results_valid_q <= 1'b0;
      else results_valid_q <= sum_valid_q;
    end
    assign {results, results_valid} = {results_q, results_valid_q};
  end

  output_maps #(
      .Pixels     (Pixels),
      .Words      (NF),
      .Width      (Pe * OutBits),
      .MemoryStyle(OutputStyle)
  ) i_outputs (
      .clk_i,
      .rst_ni,
      .reserve_i(step && reserve),
      .room_o   (room),
      .word_i   (results),
      .valid_i  (results_valid),
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );

endmodule
