/// Binary convolution whose weights come as a stream, once a frame: every weight word is held while all output pixels use it.
/// By default an output is a vote: 1 (+1) when `popcount(window XNOR weight[o]) >= Threshold`. Groups, activations and their files
/// are those of xnor_popcount; the results of an activation are called votes here too.
///
/// The map lies in one of two buffers (one fills while the other is used). For each weight word, the controller walks over
/// the OH*OW output pixels, one a cycle, and reads the map word which the word's tap meets there; Pe popcounts of Simd
/// bits add to the accumulators of the pixel. With the last word of Pe outputs the votes go to one of two vote maps, which drains
/// in pixel order while the other one fills in channel order. A tap outside the map is -1 or +1, or masked: then it has no part in
/// the sums, and a match counts as 2 (see popcount_lane).
///
/// Rate: NF*SF*OH*OW cycles a frame (SF = Kernel*Kernel*Channels/Simd, NF = Outputs/Pe), with no gap between words, passes or
/// frames, while the map of the next frame and the next weight word (one every OH*OW cycles) are there in time and the
/// votes drain (SF = 1 loses 2 to 4 cycles a frame: its votes drain as slowly as they come). Latency: a frame's cycles
/// and 7 more (popcount_scale: 8) from the last beat of the map to the first of the votes.
/// A walk, once begun, never stalls: everything it needs is waited for before its first pixel.
///
/// Stages: walk (address), 1 map word, 2 tap and weights, 3 and 4 counts (popcount_lane), 5 sums, 6 votes (popcount_activation), vote
/// map (output_maps). The sum of a majority vote begins at -Threshold, so that the vote is its sign.
///
/// A weight word nf*SF + sf, sf = (kh*Kernel + kw)*Channels/Simd + cs, holds in bit e*Simd + i the weight of output nf*Pe + e and
/// input channel cs*Simd + i of tap (kh, kw).
module weight_stationary #(
    parameter int unsigned Height         = 4,                                   // of the input map
    parameter int unsigned Width          = 4,                                   // of the input map
    parameter int unsigned Channels       = 512,                                 // of the input map
    parameter int unsigned Outputs        = 512,                                 // output channels
    parameter int unsigned Kernel         = 3,                                   // of the convolution, the same both ways
    parameter int unsigned Stride         = 1,                                   // of the convolution
    parameter int unsigned Padding        = 1,                                   // of the map, on each side; less than Kernel
    parameter int          PadValue       = -1,                                  // of a tap outside the map: -1, +1, or 0 (masked)
    parameter int unsigned Pe             = 2,                                   // outputs at a time, divides Outputs
    parameter int unsigned Simd           = 64,                                  // inputs at a time, divides Channels
    parameter int unsigned Group          = 0,                                   // signs that vote together; 0: no groups
    parameter int          GroupThreshold = 0,                                   // the least sum of a group that votes +1
    parameter              Activation     = "majority_vote",                     // see popcount_activation
    parameter int unsigned Threshold      = (Kernel * Kernel * Channels + 1) / 2,  // the least count that votes +1; default: the majority
    parameter int unsigned OutBits        = 1,                                   // of an output; a vote has 1
    parameter int unsigned MultiplierBits = 8,                                   // popcount_scale
    parameter int unsigned AccBits        = 16,                                  // popcount_scale
    parameter int unsigned Shift          = 0,                                   // popcount_scale
    parameter int unsigned Even           = 0,                                   // popcount_scale
    parameter              ThresholdFile  = "",                                  // threshold
    parameter              MultiplierFile = "",                                  // popcount_scale
    parameter              OffsetFile     = "",                                  // popcount_scale
    parameter              MemoryStyle    = "auto"                               // ram_style of the map: auto, block, distributed
) (
    input  logic                  clk_i,
    input  logic                  rst_ni,          // back to the start of a frame
    input  logic [      Simd-1:0] in_data_i,       // Simd signs of the map, NHWC
    input  logic                  in_valid_i,
    output logic                  in_ready_o,
    input  logic [   Pe*Simd-1:0] weight_data_i,   // Simd weights of Pe outputs, see above; NF*SF words a frame
    input  logic                  weight_valid_i,
    output logic                  weight_ready_o,
    output logic [Pe*OutBits-1:0] out_data_o,      // Pe outputs, NHWC
    output logic                  out_valid_o,
    input  logic                  out_ready_i
);

  localparam int unsigned OutHeight = (Height + 2 * Padding - Kernel) / Stride + 1;
  localparam int unsigned OutWidth  = (Width + 2 * Padding - Kernel) / Stride + 1;
  localparam int unsigned Pixels    = OutHeight * OutWidth;
  localparam int unsigned CS        = Channels / Simd;  // words a pixel, and weight words a tap
  localparam int unsigned NF        = Outputs / Pe;
  localparam int unsigned RowWords  = Width * CS;
  localparam int unsigned MapWords  = Height * RowWords;
  localparam int unsigned Inputs    = Kernel * Kernel * Channels;

  localparam int unsigned Masked     = PadValue == 0 && Padding != 0 ? 1 : 0;
  localparam int unsigned Unit       = Masked != 0 ? 2 : 1;  // of a match
  localparam int unsigned GroupSize  = Group == 0 ? 1 : Group;
  localparam int unsigned Voters     = Group == 0 ? Inputs : (Inputs + GroupSize - 1) / GroupSize;  // signs, or groups of them

  localparam int unsigned AddressBits = $clog2(2 * MapWords);
  localparam int unsigned PixelBits   = Pixels > 1 ? $clog2(Pixels) : 1;
  localparam logic        Majority    = 128'(Activation) == 128'("majority_vote");
  localparam int unsigned Most        = Unit * Voters;      // the largest count
  localparam int unsigned Above       = Most > Threshold ? Most - Threshold : 0;
  localparam int unsigned SumBits     =                     // of a window's sum, signed for a majority vote
      !Majority ? $clog2(Most + 1) : 1 + ($clog2(Threshold) > $clog2(Above + 1) ? $clog2(Threshold) : $clog2(Above + 1));
  localparam int unsigned StateBits   = SumBits + (Group > Simd ? $clog2(Group + 1) : 0);
  localparam logic [SumBits-1:0] Start = Majority ? SumBits'(0) - SumBits'(Threshold) : SumBits'(0);
  // A negative row or column wraps to a number past the map: one comparison finds both borders.
  localparam int unsigned RowBits     = $clog2(Height + 2 * Padding + Stride + 1) + 1;
  localparam int unsigned ColBits     = $clog2(Width + 2 * Padding + Stride + 1) + 1;

  // synthesis translate_off
  localparam logic [127:0] Style = 128'(MemoryStyle);
  initial begin
    if (Style != 128'("auto") && Style != 128'("block") && Style != 128'("distributed"))
      $fatal(1, "weight_stationary: MemoryStyle %0s is none of auto, block, distributed", MemoryStyle);
    if (CS * Simd != Channels) $fatal(1, "weight_stationary: Simd %0d does not divide Channels %0d", Simd, Channels);
    if (NF * Pe != Outputs) $fatal(1, "weight_stationary: Pe %0d does not divide Outputs %0d", Pe, Outputs);
    if (Kernel == 0 || Stride == 0) $fatal(1, "weight_stationary: Kernel and Stride must be at least 1");
    if (Padding >= Kernel) $fatal(1, "weight_stationary: Padding %0d is not below Kernel %0d", Padding, Kernel);
    if (Height + 2 * Padding < Kernel || Width + 2 * Padding < Kernel)
      $fatal(1, "weight_stationary: Kernel %0d is larger than the padded map", Kernel);
    if (PadValue < -1 || PadValue > 1) $fatal(1, "weight_stationary: PadValue is %0d, must be -1, 0 or 1", PadValue);
    if (Majority && (Threshold < 1 || Threshold > Most))
      $fatal(1, "weight_stationary: Threshold %0d is not within 1 and the largest count, %0d", Threshold, Most);
  end
  // synthesis translate_on

  // ---------------------------------------------------------------- map buffers: filling

  (* ram_style = MemoryStyle *) logic [Simd-1:0] map[2*MapWords];
  logic [AddressBits-1:0] fill;  // word to write next, counts through both buffers
  logic [1:0] maps_q;            // full buffers
  logic fill_word, fill_last, fill_done, map_done;

  assign in_ready_o = maps_q != 2'd2;
  assign fill_word  = in_valid_i && in_ready_o;
  assign fill_done  = fill_word && (fill == AddressBits'(MapWords - 1) || fill_last);

  counter #(
      .Count(2 * MapWords)
  ) i_fill (
      .clk_i,
      .rst_ni,
      .step_i (fill_word),
      .count_o(fill),
      .last_o (fill_last)
  );

  always_ff @(posedge clk_i) begin
    if (fill_word) map[fill] <= in_data_i;

    if (!rst_ni) maps_q <= 2'd0;
    else maps_q <= maps_q + 2'(fill_done) - 2'(map_done);
  end

  // ---------------------------------------------------------------- walk: word by word, pixel by pixel

  // Position of the walk: weight word (nf, kh, kw, cs), output pixel (oh, ow).
  localparam int unsigned NfBits = NF > 1 ? $clog2(NF) : 1;
  localparam int unsigned KBits  = Kernel > 1 ? $clog2(Kernel) : 1;
  localparam int unsigned CsBits = CS > 1 ? $clog2(CS) : 1;
  localparam int unsigned OhBits = OutHeight > 1 ? $clog2(OutHeight) : 1;
  localparam int unsigned OwBits = OutWidth > 1 ? $clog2(OutWidth) : 1;

  logic [NfBits-1:0] nf;
  logic [ KBits-1:0] kh, kw;
  logic [CsBits-1:0] cs;
  logic [OhBits-1:0] oh;
  logic [OwBits-1:0] ow;
  logic last_nf, last_kh, last_kw, last_cs, last_oh, last_ow, first_pixel, last_pixel, first_word, last_word;
  logic step, word_step;  // to the next pixel; to the next weight word

  assign first_pixel = oh == OhBits'(0) && ow == OwBits'(0);
  assign last_pixel  = last_oh && last_ow;
  assign first_word  = kh == KBits'(0) && kw == KBits'(0) && cs == CsBits'(0);  // of Pe outputs
  assign last_word   = last_kh && last_kw && last_cs;
  assign word_step   = step && last_pixel;

  counter #(
      .Count(OutWidth)
  ) i_ow (
      .clk_i,
      .rst_ni,
      .step_i (step),
      .count_o(ow),
      .last_o (last_ow)
  );
  counter #(
      .Count(OutHeight)
  ) i_oh (
      .clk_i,
      .rst_ni,
      .step_i (step && last_ow),
      .count_o(oh),
      .last_o (last_oh)
  );
  counter #(
      .Count(CS)
  ) i_cs (
      .clk_i,
      .rst_ni,
      .step_i (word_step),
      .count_o(cs),
      .last_o (last_cs)
  );
  counter #(
      .Count(Kernel)
  ) i_kw (
      .clk_i,
      .rst_ni,
      .step_i (word_step && last_cs),
      .count_o(kw),
      .last_o (last_kw)
  );
  counter #(
      .Count(Kernel)
  ) i_kh (
      .clk_i,
      .rst_ni,
      .step_i (word_step && last_cs && last_kw),
      .count_o(kh),
      .last_o (last_kh)
  );
  counter #(
      .Count(NF)
  ) i_nf (
      .clk_i,
      .rst_ni,
      .step_i (word_step && last_word),
      .count_o(nf),
      .last_o (last_nf)
  );

  // The map word under the tap: its row and column (possibly outside), its address, and the addresses of the first word of
  // this output row and of this walk. Addresses count modulo 2**AddressBits; outside the map they mean nothing.
  localparam logic [AddressBits-1:0] Origin = AddressBits'(0) - AddressBits'(Padding * RowWords + Padding * CS);

  logic [RowBits-1:0] row_q;
  logic [ColBits-1:0] col_q;
  logic [AddressBits-1:0] address_q, line_q, tap_q, line_d, tap_d;
  logic [RowBits-1:0] row_d, row_next_q;  // where the walk of the next weight word begins; from registers, as there is time for it
  logic [ColBits-1:0] col_d, col_next_q;
  logic [AddressBits-1:0] tap_next_q;
  logic buffer_q;                      // map in use
  logic fetched, votes_room, reserve;  // a weight word is there; a vote map is free; it is taken
  logic leaving;  // that word moves on: with one output pixel the next one is not there before the cycle after

  assign reserve  = last_word && nf == NfBits'(0) && first_pixel;
  assign step     = !first_pixel || (maps_q != 2'd0 && fetched && !leaving && (votes_room || !reserve));
  assign map_done = word_step && last_word && last_nf;

  assign line_d = line_q + AddressBits'(Stride * RowWords);
  always_comb begin
    if (!last_cs || !last_kw) tap_d = tap_q + AddressBits'(1);
    else if (!last_kh) tap_d = tap_q + AddressBits'(RowWords - Kernel * CS + 1);
    else tap_d = Origin + ((buffer_q ^ last_nf) ? AddressBits'(MapWords) : AddressBits'(0));

    row_d = RowBits'(kh);
    col_d = ColBits'(kw);
    if (last_cs) begin
      col_d = last_kw ? ColBits'(0) : ColBits'(kw) + ColBits'(1);
      if (last_kw) row_d = last_kh ? RowBits'(0) : RowBits'(kh) + RowBits'(1);
    end
  end

  // A walk has two pixels at least, so what its weight word says is there a cycle later and before its end.
  always_ff @(posedge clk_i) begin
    tap_next_q <= tap_d;
    row_next_q <= row_d - RowBits'(Padding);
    col_next_q <= col_d - ColBits'(Padding);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      buffer_q  <= 1'b0;
      row_q     <= RowBits'(0) - RowBits'(Padding);
      col_q     <= ColBits'(0) - ColBits'(Padding);
      address_q <= Origin;
      line_q    <= Origin;
      tap_q     <= Origin;
    end else if (step) begin
      col_q     <= col_q + ColBits'(Stride);
      address_q <= address_q + AddressBits'(Stride * CS);
      if (last_ow) begin
        row_q     <= row_q + RowBits'(Stride);
        col_q     <= ColBits'(kw) - ColBits'(Padding);
        line_q    <= line_d;
        address_q <= line_d;
      end
      if (last_pixel) begin
        row_q     <= row_next_q;
        col_q     <= col_next_q;
        tap_q     <= tap_next_q;
        line_q    <= tap_next_q;
        address_q <= tap_next_q;
        if (last_word && last_nf) buffer_q <= !buffer_q;
      end
    end
  end

  // ---------------------------------------------------------------- stages 1 and 2: map word, tap and weights

  logic [Simd-1:0] map_word_q, tap_word_q;
  logic tap_masked_q;
  logic [Pe*Simd-1:0] fetched_word, weight_q;
  logic s1_valid_q, s1_inside_q, s1_load_q, s1_first_q, s1_last_q;
  assign leaving = Pixels == 1 && s1_load_q;
  logic s2_valid_q, s2_first_q, s2_last_q;

  // The fetched word moves on one cycle after its first pixel, and the next one may come during the rest of the walk.
  stream_register #(
      .Width(Pe * Simd)
  ) i_fetched (
      .clk_i,
      .rst_ni,
      .in_data_i  (weight_data_i),
      .in_valid_i (weight_valid_i),
      .in_ready_o (weight_ready_o),
      .out_data_o (fetched_word),
      .out_valid_o(fetched),
      .out_ready_i(s1_load_q)
  );

  always_ff @(posedge clk_i) begin
    map_word_q <= map[address_q];

    s1_inside_q  <= row_q < RowBits'(Height) && col_q < ColBits'(Width);
    s1_first_q   <= first_word;
    s1_last_q    <= last_word;
    s2_first_q   <= s1_first_q;
    s2_last_q    <= s1_last_q;
    tap_word_q   <= s1_inside_q ? map_word_q : {Simd{PadValue > 0}};
    tap_masked_q <= Masked != 0 && !s1_inside_q;
    if (s1_load_q) weight_q <= fetched_word;

    if (!rst_ni) begin
      s1_load_q  <= 1'b0;
      s1_valid_q <= 1'b0;
      s2_valid_q <= 1'b0;
    end else begin
      s1_load_q  <= step && first_pixel;
      s1_valid_q <= step;
      s2_valid_q <= s1_valid_q;
    end
  end

  // ---------------------------------------------------------------- stages 3 to 6: counts, sums, votes

  // A sum is read at stage 3 and written at the end of stage 4; a pixel comes again two cycles later at the earliest.
  (* ram_style = "distributed" *) logic [Pe*StateBits-1:0] sums[Pixels];
  logic [Pe*StateBits-1:0] sum_d, partial_q;
  logic [Pe*SumBits-1:0] sum_q;
  logic [PixelBits-1:0] s3_pixel, s4_pixel;
  logic s3_valid_q, s3_first_q, s3_last_q, s4_valid_q, s4_last_q, s5_valid_q, unused_s3_last, s4_pixel_last;
  logic [Pe*OutBits-1:0] vote;
  logic vote_valid;

  counter #(
      .Count(Pixels)
  ) i_s3_pixel (
      .clk_i,
      .rst_ni,
      .step_i (s3_valid_q),
      .count_o(s3_pixel),
      .last_o (unused_s3_last)
  );
  counter #(
      .Count(Pixels)
  ) i_s4_pixel (
      .clk_i,
      .rst_ni,
      .step_i (s4_valid_q),
      .count_o(s4_pixel),
      .last_o (s4_pixel_last)
  );

  popcount_lanes #(
      .Inputs        (Inputs),
      .Pe            (Pe),
      .Simd          (Simd),
      .Group         (Group),
      .GroupThreshold(GroupThreshold),
      .Masked        (Masked),
      .SumBits       (SumBits),
      .StateBits     (StateBits)
  ) i_lanes (
      .clk_i,
      .rst_ni,
      .enable_i    (1'b1),
      .signs_i     (tap_word_q),
      .masked_i    (tap_masked_q),
      .weights_i   (weight_q),
      .last_i      (s4_last_q),
      .group_step_i(s4_valid_q && s4_pixel_last),
      .state_i     (partial_q),
      .state_o     (sum_d)
  );

  always_ff @(posedge clk_i) begin
    s3_first_q <= s2_first_q;
    s3_last_q  <= s2_last_q;
    s4_last_q  <= s3_last_q;
    // the set or reset input of the flip-flops, and no LUT
    if (s3_first_q) partial_q[Pe*SumBits-1:0] <= {Pe{Start}};
    else partial_q[Pe*SumBits-1:0] <= sums[s3_pixel][Pe*SumBits-1:0];
    if (s4_valid_q) sums[s4_pixel] <= sum_d;
    sum_q <= sum_d[Pe*SumBits-1:0];

    if (!rst_ni) begin
      s3_valid_q <= 1'b0;
      s4_valid_q <= 1'b0;
      s5_valid_q <= 1'b0;
    end else begin
      s3_valid_q <= s2_valid_q;
      s4_valid_q <= s3_valid_q;
      s5_valid_q <= s4_valid_q && s4_last_q;
    end
  end
  if (StateBits > SumBits) begin : gen_groups
    always_ff @(posedge clk_i) partial_q[Pe*StateBits-1:Pe*SumBits] <= sums[s3_pixel][Pe*StateBits-1:Pe*SumBits];
  end

  logic unused_vote_ready;  // always
  popcount_activation #(
      .Activation    (Activation),
      .Pe            (Pe),
      .CountBits     (SumBits),
      .OutBits       (OutBits),
      .Voters        (Voters),
      .Unit          (Unit),
      .Words         (NF),
      .Beats         (Pixels),
      .ThresholdFile (ThresholdFile),
      .MultiplierBits(MultiplierBits),
      .AccBits       (AccBits),
      .Shift         (Shift),
      .Even          (Even),
      .MultiplierFile(MultiplierFile),
      .OffsetFile    (OffsetFile)
  ) i_activation (
      .clk_i,
      .rst_ni,
      .in_data_i  (sum_q),
      .in_valid_i (s5_valid_q),
      .in_ready_o (unused_vote_ready),
      .out_data_o (vote),
      .out_valid_o(vote_valid),
      .out_ready_i(1'b1)
  );

  output_maps #(
      .Pixels     (Pixels),
      .Words      (NF),
      .Width      (Pe * OutBits),
      .MemoryStyle("distributed")
  ) i_votes (
      .clk_i,
      .rst_ni,
      .reserve_i(step && reserve),
      .room_o   (votes_room),
      .word_i   (vote),
      .valid_i  (vote_valid),
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );
endmodule
