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
/// and 6 more (popcount_scale: 7) from the last beat of the map to the first of the votes.
/// A walk, once begun, never stalls: everything it needs is waited for before its first pixel.
///
/// Stages: walk (address), 1 map word, 2 tap and weights, 3 counts, 4 sums (popcount_lane), 5 votes (popcount_activation),
/// vote map.
///
/// Parameters
///   Height, Width, Channels:  the input map
///   Outputs:                  output channels
///   Kernel, Stride, Padding:  the convolution, the same both ways; Padding < Kernel
///   PadValue:                 of a tap outside the map: -1, +1, or 0 (masked)
///   Pe:                       outputs at a time; divides Outputs
///   Simd:                     inputs at a time; divides Channels
///   Group, GroupThreshold:    signs that vote together (0: no groups), and the least sum of a group that votes +1
///   Activation, OutBits:      see popcount_activation; bits of an output
///   Threshold:                the least count that votes +1; default: the majority of all signs, a tie votes +1
///   MultiplierBits, OffsetBits, Shift, MultiplierFile, OffsetFile: of popcount_scale
///   ThresholdFile:            of threshold
///   MemoryStyle:              of the map: "auto", "block" or "distributed"
/// Ports
///   clk_i, rst_ni: clock; synchronous reset, active low
///   in_*:     the map, Simd bits a beat, NHWC
///   weight_*: NF*SF words of Pe*Simd bits a frame; word nf*SF + sf, sf = (kh*Kernel + kw)*Channels/Simd + cs, holds in bit
///             e*Simd + i the weight of output nf*Pe + e and input channel cs*Simd + i of tap (kh, kw)
///   out_*:    the votes, Pe elements of OutBits a beat, NHWC
module weight_stationary #(
    parameter int unsigned Height         = 4,
    parameter int unsigned Width          = 4,
    parameter int unsigned Channels       = 512,
    parameter int unsigned Outputs        = 512,
    parameter int unsigned Kernel         = 3,
    parameter int unsigned Stride         = 1,
    parameter int unsigned Padding        = 1,
    parameter int          PadValue       = -1,
    parameter int unsigned Pe             = 2,
    parameter int unsigned Simd           = 64,
    parameter int unsigned Group          = 0,
    parameter int          GroupThreshold = 0,
    parameter              Activation     = "majority_vote",
    parameter int unsigned Threshold      = (Kernel * Kernel * Channels + 1) / 2,
    parameter int unsigned OutBits        = 1,
    parameter int unsigned MultiplierBits = 8,
    parameter int unsigned OffsetBits     = 16,
    parameter int unsigned Shift          = 0,
    parameter              ThresholdFile  = "",
    parameter              MultiplierFile = "",
    parameter              OffsetFile     = "",
    parameter              MemoryStyle    = "auto"
) (
    input  logic                  clk_i,
    input  logic                  rst_ni,
    input  logic [      Simd-1:0] in_data_i,
    input  logic                  in_valid_i,
    output logic                  in_ready_o,
    input  logic [   Pe*Simd-1:0] weight_data_i,
    input  logic                  weight_valid_i,
    output logic                  weight_ready_o,
    output logic [Pe*OutBits-1:0] out_data_o,
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
  localparam int unsigned VoteWords = Pixels * NF;
  localparam int unsigned Inputs    = Kernel * Kernel * Channels;

  localparam int unsigned Masked     = PadValue == 0 && Padding != 0 ? 1 : 0;
  localparam int unsigned Unit       = Masked != 0 ? 2 : 1;  // of a match
  localparam int unsigned GroupSize  = Group == 0 ? 1 : Group;
  localparam int unsigned GroupBeats = Group > Simd ? Group / Simd : 1;
  localparam int unsigned Voters     = Group == 0 ? Inputs : (Inputs + GroupSize - 1) / GroupSize;  // signs, or groups of them

  localparam int unsigned AddressBits = $clog2(2 * MapWords);
  localparam int unsigned VoteBits    = $clog2(2 * VoteWords);
  localparam int unsigned PixelBits   = Pixels > 1 ? $clog2(Pixels) : 1;
  localparam int unsigned SumBits     = $clog2(Unit * Voters + 1);  // of a window
  localparam int unsigned StateBits   = SumBits + (Group > Simd ? $clog2(Group + 1) : 0);
  // A negative row or column wraps to a number past the map: one comparison finds both borders.
  localparam int unsigned RowBits     = $clog2(Height + 2 * Padding + Stride + 1) + 1;
  localparam int unsigned ColBits     = $clog2(Width + 2 * Padding + Stride + 1) + 1;

  // synthesis translate_off
  initial begin
    if (CS * Simd != Channels) $fatal(1, "weight_stationary: Simd %0d does not divide Channels %0d", Simd, Channels);
    if (NF * Pe != Outputs) $fatal(1, "weight_stationary: Pe %0d does not divide Outputs %0d", Pe, Outputs);
    if (Kernel == 0 || Stride == 0) $fatal(1, "weight_stationary: Kernel and Stride must be at least 1");
    if (Padding >= Kernel) $fatal(1, "weight_stationary: Padding %0d is not below Kernel %0d", Padding, Kernel);
    if (Height + 2 * Padding < Kernel || Width + 2 * Padding < Kernel)
      $fatal(1, "weight_stationary: Kernel %0d is larger than the padded map", Kernel);
    if (Pixels < 2)
      $fatal(1, "weight_stationary: needs 2 output pixels or more to hold a weight for, has %0d: use xnor_popcount", Pixels);
    if (PadValue < -1 || PadValue > 1) $fatal(1, "weight_stationary: PadValue is %0d, must be -1, 0 or 1", PadValue);
    if (Threshold >= 2 ** SumBits && 128'(Activation) == 128'("majority_vote"))
      $fatal(1, "weight_stationary: Threshold %0d is more than a window of %0d inputs counts", Threshold, Inputs);
    if (Group != 0 && Simd % GroupSize != 0 && Group % Simd != 0)
      $fatal(1, "weight_stationary: Group %0d is neither a multiple of Simd %0d nor does it divide it", Group, Simd);
    if (Group != 0 && Masked != 0) $fatal(1, "weight_stationary: a group outside the map has no majority: pad with -1 or +1");
  end
  // synthesis translate_on

  // ---------------------------------------------------------------- map buffers: filling

  (* ram_style = MemoryStyle *) logic [Simd-1:0] map[2*MapWords];
  logic [AddressBits-1:0] fill_q;  // word to write next, counts through both buffers
  logic [1:0] maps_q;              // full buffers
  logic fill_word, fill_done, map_done;

  assign in_ready_o = maps_q != 2'd2;
  assign fill_word  = in_valid_i && in_ready_o;
  assign fill_done  = fill_word && (fill_q == AddressBits'(MapWords - 1) || fill_q == AddressBits'(2 * MapWords - 1));

  always_ff @(posedge clk_i) begin
    if (fill_word) map[fill_q] <= in_data_i;

    if (!rst_ni) begin
      fill_q <= AddressBits'(0);
      maps_q <= 2'd0;
    end else begin
      if (fill_word) fill_q <= fill_q == AddressBits'(2 * MapWords - 1) ? AddressBits'(0) : fill_q + AddressBits'(1);
      maps_q <= maps_q + 2'(fill_done) - 2'(map_done);
    end
  end

  // ---------------------------------------------------------------- walk: word by word, pixel by pixel

  // Position of the walk: weight word (nf, kh, kw, cs), output pixel (oh, ow).
  localparam int unsigned NfBits = NF > 1 ? $clog2(NF) : 1;
  localparam int unsigned KBits  = Kernel > 1 ? $clog2(Kernel) : 1;
  localparam int unsigned CsBits = CS > 1 ? $clog2(CS) : 1;
  localparam int unsigned OhBits = OutHeight > 1 ? $clog2(OutHeight) : 1;
  localparam int unsigned OwBits = OutWidth > 1 ? $clog2(OutWidth) : 1;

  logic [NfBits-1:0] nf_q;
  logic [ KBits-1:0] kh_q, kw_q;
  logic [CsBits-1:0] cs_q;
  logic [OhBits-1:0] oh_q;
  logic [OwBits-1:0] ow_q;
  logic last_nf, last_kh, last_kw, last_cs, last_oh, last_ow, first_pixel, last_pixel, first_word, last_word;

  assign last_nf     = nf_q == NfBits'(NF - 1);
  assign last_kh     = kh_q == KBits'(Kernel - 1);
  assign last_kw     = kw_q == KBits'(Kernel - 1);
  assign last_cs     = cs_q == CsBits'(CS - 1);
  assign last_oh     = oh_q == OhBits'(OutHeight - 1);
  assign last_ow     = ow_q == OwBits'(OutWidth - 1);
  assign first_pixel = oh_q == OhBits'(0) && ow_q == OwBits'(0);
  assign last_pixel  = last_oh && last_ow;
  assign first_word  = kh_q == KBits'(0) && kw_q == KBits'(0) && cs_q == CsBits'(0);  // of Pe outputs
  assign last_word   = last_kh && last_kw && last_cs;

  // The map word under the tap: its row and column (possibly outside), its address, and the addresses of the first word of
  // this output row and of this walk. Addresses count modulo 2**AddressBits; outside the map they mean nothing.
  localparam logic [AddressBits-1:0] Origin = AddressBits'(0) - AddressBits'(Padding * RowWords + Padding * CS);

  logic [RowBits-1:0] row_q;
  logic [ColBits-1:0] col_q;
  logic [AddressBits-1:0] address_q, line_q, tap_q, line_d, tap_d;
  logic buffer_q;                        // map in use
  logic step;
  logic fetched_q, votes_room, reserve;  // a weight word is there; a vote map is free; it is taken

  assign reserve  = last_word && nf_q == NfBits'(0) && first_pixel;
  assign step     = !first_pixel || (maps_q != 2'd0 && fetched_q && (votes_room || !reserve));
  assign map_done = step && last_pixel && last_word && last_nf;

  assign line_d = line_q + AddressBits'(Stride * RowWords);
  always_comb begin
    if (!last_cs || !last_kw) tap_d = tap_q + AddressBits'(1);
    else if (!last_kh) tap_d = tap_q + AddressBits'(RowWords - Kernel * CS + 1);
    else tap_d = Origin + ((buffer_q ^ last_nf) ? AddressBits'(MapWords) : AddressBits'(0));
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      {nf_q, kh_q, kw_q, cs_q, oh_q, ow_q, buffer_q} <= '0;
      row_q     <= RowBits'(0) - RowBits'(Padding);
      col_q     <= ColBits'(0) - ColBits'(Padding);
      address_q <= Origin;
      line_q    <= Origin;
      tap_q     <= Origin;
    end else if (step) begin
      ow_q      <= last_ow ? OwBits'(0) : ow_q + OwBits'(1);
      col_q     <= col_q + ColBits'(Stride);
      address_q <= address_q + AddressBits'(Stride * CS);
      if (last_ow) begin
        oh_q      <= last_oh ? OhBits'(0) : oh_q + OhBits'(1);
        row_q     <= row_q + RowBits'(Stride);
        col_q     <= ColBits'(kw_q) - ColBits'(Padding);
        line_q    <= line_d;
        address_q <= line_d;
      end
      if (last_pixel) begin
        cs_q      <= last_cs ? CsBits'(0) : cs_q + CsBits'(1);
        row_q     <= RowBits'(kh_q) - RowBits'(Padding);
        tap_q     <= tap_d;
        line_q    <= tap_d;
        address_q <= tap_d;
        if (last_cs) begin
          kw_q  <= last_kw ? KBits'(0) : kw_q + KBits'(1);
          col_q <= (last_kw ? ColBits'(0) : ColBits'(kw_q) + ColBits'(1)) - ColBits'(Padding);
          if (last_kw) begin
            kh_q  <= last_kh ? KBits'(0) : kh_q + KBits'(1);
            row_q <= (last_kh ? RowBits'(0) : RowBits'(kh_q) + RowBits'(1)) - RowBits'(Padding);
          end
        end
        if (last_word) nf_q <= last_nf ? NfBits'(0) : nf_q + NfBits'(1);
        if (last_word && last_nf) buffer_q <= !buffer_q;
      end
    end
  end

  // ---------------------------------------------------------------- stages 1 and 2: map word, tap and weights

  logic [Simd-1:0] map_word_q, tap_word_q;
  logic tap_masked_q;
  logic [Pe*Simd-1:0] fetched_word_q, weight_q;
  logic s1_valid_q, s1_inside_q, s1_load_q, s1_first_q, s1_last_q;
  logic s2_valid_q, s2_first_q, s2_last_q;

  // The fetched word moves on one cycle after its first pixel, and the next one may come during the rest of the walk.
  assign weight_ready_o = !fetched_q || s1_load_q;

  always_ff @(posedge clk_i) begin
    map_word_q <= map[address_q];

    s1_inside_q  <= row_q < RowBits'(Height) && col_q < ColBits'(Width);
    s1_first_q   <= first_word;
    s1_last_q    <= last_word;
    s2_first_q   <= s1_first_q;
    s2_last_q    <= s1_last_q;
    tap_word_q   <= s1_inside_q ? map_word_q : {Simd{PadValue > 0}};
    tap_masked_q <= Masked != 0 && !s1_inside_q;
    if (s1_load_q) weight_q <= fetched_word_q;
    if (weight_ready_o) fetched_word_q <= weight_data_i;

    if (!rst_ni) begin
      fetched_q  <= 1'b0;
      s1_load_q  <= 1'b0;
      s1_valid_q <= 1'b0;
      s2_valid_q <= 1'b0;
    end else begin
      if (weight_ready_o) fetched_q <= weight_valid_i;
      s1_load_q  <= step && first_pixel;
      s1_valid_q <= step;
      s2_valid_q <= s1_valid_q;
    end
  end

  // ---------------------------------------------------------------- stages 3 to 5: counts, sums, votes

  // A sum is written at the end of the cycle that reads it, so a pixel may come again in the next one.
  (* ram_style = "distributed" *) logic [Pe*StateBits-1:0] sums[Pixels];
  logic [Pe*StateBits-1:0] sum_d, partial;
  logic [Pe*SumBits-1:0] sum_q;
  logic [PixelBits-1:0] s3_pixel_q;
  logic s3_valid_q, s3_first_q, s3_last_q, s3_group_first, s3_group_last, s3_pixel_last, s4_valid_q;
  logic [Pe*OutBits-1:0] vote;
  logic vote_valid;

  assign partial       = sums[s3_pixel_q];
  assign s3_pixel_last = s3_pixel_q == PixelBits'(Pixels - 1);

  group_beats #(
      .Beats(GroupBeats)
  ) i_group (
      .clk_i,
      .rst_ni,
      .step_i (s3_valid_q && s3_pixel_last),
      .last_i (s3_last_q),
      .first_o(s3_group_first),
      .last_o (s3_group_last)
  );

  for (genvar e = 0; e < Pe; e++) begin : gen_pe
    popcount_lane #(
        .Inputs        (Inputs),
        .Simd          (Simd),
        .Group         (Group),
        .GroupThreshold(GroupThreshold),
        .Masked        (Masked),
        .SumBits       (SumBits),
        .StateBits     (StateBits)
    ) i_lane (
        .clk_i,
        .enable_i     (1'b1),
        .matches_i    (~(tap_word_q ^ weight_q[e*Simd+:Simd])),
        .masked_i     (tap_masked_q),
        .first_i      (s3_first_q),
        .last_i       (s3_last_q),
        .group_first_i(s3_group_first),
        .group_last_i (s3_group_last),
        .state_i      (partial[e*StateBits+:StateBits]),
        .state_o      (sum_d[e*StateBits+:StateBits])
    );

    always_ff @(posedge clk_i) sum_q[e*SumBits+:SumBits] <= sum_d[e*StateBits+:SumBits];
  end

  always_ff @(posedge clk_i) begin
    s3_first_q <= s2_first_q;
    s3_last_q  <= s2_last_q;
    if (s3_valid_q) sums[s3_pixel_q] <= sum_d;

    if (!rst_ni) begin
      s3_pixel_q <= PixelBits'(0);
      s3_valid_q <= 1'b0;
      s4_valid_q <= 1'b0;
    end else begin
      s3_valid_q <= s2_valid_q;
      s4_valid_q <= s3_valid_q && s3_last_q;
      if (s3_valid_q) s3_pixel_q <= s3_pixel_last ? PixelBits'(0) : s3_pixel_q + PixelBits'(1);
    end
  end

  logic vote_ready;  // always
  popcount_activation #(
      .Activation    (Activation),
      .Pe            (Pe),
      .CountBits     (SumBits),
      .OutBits       (OutBits),
      .Voters        (Voters),
      .Unit          (Unit),
      .Words         (NF),
      .Beats         (Pixels),
      .Threshold     (Threshold),
      .ThresholdFile (ThresholdFile),
      .MultiplierBits(MultiplierBits),
      .OffsetBits    (OffsetBits),
      .Shift         (Shift),
      .MultiplierFile(MultiplierFile),
      .OffsetFile    (OffsetFile)
  ) i_activation (
      .clk_i,
      .rst_ni,
      .in_data_i  (sum_q),
      .in_valid_i (s4_valid_q),
      .in_ready_o (vote_ready),
      .out_data_o (vote),
      .out_valid_o(vote_valid),
      .out_ready_i(1'b1)
  );

  // ---------------------------------------------------------------- vote maps: written in channel order, drained in pixel order

  (* ram_style = "distributed" *) logic [Pe*OutBits-1:0] votes[2*VoteWords];
  logic [VoteBits-1:0] vote_address_q, vote_start_q, drain_q;  // pixel NF words apart; of pixel 0; word to read next
  logic [PixelBits-1:0] vote_pixel_q;
  logic [NfBits-1:0] vote_nf_q;
  logic vote_buffer_q;
  logic [1:0] reserved_q, complete_q;  // vote maps in use, of which full
  logic vote_last_pixel, vote_last_nf, votes_done, drain, drain_done;
  logic [VoteBits-1:0] vote_start_d;

  assign votes_room      = reserved_q != 2'd2;
  assign vote_last_pixel = vote_pixel_q == PixelBits'(Pixels - 1);
  assign vote_last_nf    = vote_nf_q == NfBits'(NF - 1);
  assign votes_done      = vote_valid && vote_last_pixel && vote_last_nf;
  assign drain           = complete_q != 2'd0 && (!out_valid_o || out_ready_i);
  assign drain_done      = drain && (drain_q == VoteBits'(VoteWords - 1) || drain_q == VoteBits'(2 * VoteWords - 1));

  always_comb begin
    if (!vote_last_nf) vote_start_d = vote_start_q + VoteBits'(1);
    else vote_start_d = vote_buffer_q ? VoteBits'(0) : VoteBits'(VoteWords);
  end

  always_ff @(posedge clk_i) begin
    if (vote_valid) votes[vote_address_q] <= vote;
    if (drain) out_data_o <= votes[drain_q];

    if (!rst_ni) begin
      {vote_address_q, vote_start_q, vote_pixel_q, vote_nf_q, vote_buffer_q, drain_q} <= '0;
      reserved_q  <= 2'd0;
      complete_q  <= 2'd0;
      out_valid_o <= 1'b0;
    end else begin
      if (vote_valid) begin
        vote_pixel_q   <= vote_last_pixel ? PixelBits'(0) : vote_pixel_q + PixelBits'(1);
        vote_address_q <= vote_last_pixel ? vote_start_d : vote_address_q + VoteBits'(NF);
        if (vote_last_pixel) begin
          vote_start_q <= vote_start_d;
          vote_nf_q    <= vote_last_nf ? NfBits'(0) : vote_nf_q + NfBits'(1);
        end
      end
      if (votes_done) vote_buffer_q <= !vote_buffer_q;
      if (drain) drain_q <= drain_q == VoteBits'(2 * VoteWords - 1) ? VoteBits'(0) : drain_q + VoteBits'(1);
      reserved_q <= reserved_q + 2'(step && reserve) - 2'(drain_done);
      complete_q <= complete_q + 2'(votes_done) - 2'(drain_done);
      if (drain) out_valid_o <= 1'b1;
      else if (out_ready_i) out_valid_o <= 1'b0;
    end
  end

  logic unused;
  assign unused = &{1'b0, vote_ready};

endmodule
