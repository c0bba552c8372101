/// Binary matrix-vector engine: for every window of Inputs signs, output o is the activation of what the window and weight[o] agree in.
/// By default that is a vote: 1 (+1) when `popcount(window XNOR weight[o]) >= Threshold`, when Threshold or more products are +1.
///
/// A window comes as SF = Inputs/Simd beats and is used for NF = Outputs/Pe passes (window_replay). Stages: fetch, XNOR and
/// popcount in two (popcount_lane: matches, or votes of groups), accumulate, activate (popcount_activation, the output registers). The
/// sum of a majority vote begins at -Threshold, so that the vote is its sign. A window takes NF*SF cycles, with no gap between passes,
/// windows or frames; where a frame ends makes no difference here, so the number of pixels is no parameter.
///
/// With Masked a beat has one bit more, the highest: 1 if it lies outside the map and has no part in the sums. With a Group every
/// Group neighbours vote first, and their votes are counted; Group is a multiple of Simd or divides it. Threshold is of what is
/// counted (see popcount_lane): matches (2 for each if Masked), or votes of groups.
///
/// WeightFile has NF*SF words of Pe*Simd bits; word nf*SF + sf holds, in bit e*Simd + i, the weight of output nf*Pe + e
/// and input sf*Simd + i; 1 is +1. The files of the activations have NF words of Pe elements, element e of word nf for output
/// nf*Pe + e: see threshold and multiply_shift.
module xnor_popcount #(
    parameter int unsigned Inputs         = 576,               // signs of a sum: of a window, or of a group of its convolution
    parameter int unsigned Outputs        = 64,                // output channels
    parameter int unsigned Pe             = 1,                 // outputs at a time, divides Outputs
    parameter int unsigned Simd           = 32,                // inputs at a time, divides Inputs
    parameter int unsigned ConvGroups     = 1,                 // of the convolution; not the Group of signs that vote together
    parameter int unsigned Masked         = 0,                 // 1: a beat carries a mask
    parameter int unsigned Group          = 0,                 // signs that vote together; 0: no groups
    parameter int          GroupThreshold = 0,                 // the least sum of a group that votes +1
    parameter              Activation     = "majority_vote",   // see popcount_activation
    parameter int unsigned Threshold      = (Inputs + 1) / 2,  // the least count that votes +1; default: the majority of all signs
    parameter int unsigned OutBits        = 1,                 // of an output; a vote has 1
    parameter int unsigned MultiplierBits = 8,                 // popcount_scale
    parameter int unsigned AccBits        = 16,                // popcount_scale
    parameter int unsigned Shift          = 0,                 // popcount_scale
    parameter int unsigned Even           = 0,                 // popcount_scale
    parameter              WeightFile     = "",                // for $readmemh; untyped, as Yosys 0.23 knows no string parameters
    parameter              ThresholdFile  = "",                // threshold
    parameter              MultiplierFile = "",                // popcount_scale
    parameter              OffsetFile     = "",                // popcount_scale
    parameter              MemoryStyle    = "auto"             // of the weights: "block", "distributed" or "auto"
) (
    input  logic                   clk_i,
    input  logic                   rst_ni,       // back to the first beat of a window
    input  logic [Simd+Masked-1:0] in_data_i,    // Simd signs of a window, and the mask
    input  logic                   in_valid_i,
    output logic                   in_ready_o,
    output logic [ Pe*OutBits-1:0] out_data_o,   // Pe outputs, in order
    output logic                   out_valid_o,
    input  logic                   out_ready_i
);

  localparam int unsigned SF          = Inputs / Simd;
  localparam int unsigned NF          = Outputs / Pe;
  localparam int unsigned AddressBits = SF * NF > 1 ? $clog2(SF * NF) : 1;
  localparam int unsigned Unit        = Masked != 0 ? 2 : 1;  // of a match
  localparam int unsigned GroupSize   = Group == 0 ? 1 : Group;
  localparam int unsigned Voters      = Group == 0 ? Inputs : (Inputs + GroupSize - 1) / GroupSize;  // signs, or groups of them
  localparam logic        Majority    = 128'(Activation) == 128'("majority_vote");
  localparam int unsigned Most        = Unit * Voters;        // the largest count
  localparam int unsigned Above       = Most > Threshold ? Most - Threshold : 0;
  localparam int unsigned SumBits     =                       // of a window's sum, signed for a majority vote
      !Majority ? $clog2(Most + 1) : 1 + ($clog2(Threshold) > $clog2(Above + 1) ? $clog2(Threshold) : $clog2(Above + 1));
  localparam int unsigned StateBits   = SumBits + (Group > Simd ? $clog2(Group + 1) : 0);
  localparam logic [SumBits-1:0] Start = Majority ? SumBits'(0) - SumBits'(Threshold) : SumBits'(0);

  // synthesis translate_off
  initial begin
    if (SF * Simd != Inputs) $fatal(1, "xnor_popcount: Simd %0d does not divide Inputs %0d", Simd, Inputs);
    if (NF * Pe != Outputs) $fatal(1, "xnor_popcount: Pe %0d does not divide Outputs %0d", Pe, Outputs);
    if (NF % ConvGroups != 0)
      $fatal(1, "xnor_popcount: ConvGroups %0d and Pe %0d do not divide Outputs %0d", ConvGroups, Pe, Outputs);
    if (Masked > 1) $fatal(1, "xnor_popcount: Masked is %0d, must be 0 or 1", Masked);
    if (Majority && (Threshold < 1 || Threshold > Most))
      $fatal(1, "xnor_popcount: Threshold %0d is not within 1 and the largest count, %0d", Threshold, Most);
  end
  // synthesis translate_on

  logic                    stall, result_valid, result_ready, step;
  logic [ AddressBits-1:0] address;
  logic [ Simd+Masked-1:0] window;
  logic [     Pe*Simd-1:0] weights;
  logic                    window_valid, unused_first, window_last;
  logic                    match_valid_q, match_last_q, count_valid_q, count_last_q;
  logic [Pe*StateBits-1:0] state_d, state_q;
  logic [  Pe*SumBits-1:0] result;

  assign stall = result_valid && !result_ready;
  assign step  = !stall && count_valid_q;

  window_replay #(
      .Width (Simd + Masked),
      .Beats (SF),
      .Passes(NF / ConvGroups),
      .Groups(ConvGroups)
  ) i_window (
      .clk_i,
      .rst_ni,
      .in_data_i,
      .in_valid_i,
      .in_ready_o,
      .stall_i  (stall),
      .address_o(address),
      .data_o   (window),
      .valid_o  (window_valid),
      .first_o  (unused_first),
      .last_o   (window_last)
  );

  rom #(
      .Words      (SF * NF),
      .Width      (Pe * Simd),
      .File       (WeightFile),
      .MemoryStyle(MemoryStyle)
  ) i_weights (
      .clk_i,
      .enable_i (!stall),
      .address_i(address),
      .word_o   (weights)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      match_valid_q <= 1'b0;
      count_valid_q <= 1'b0;
    end else if (!stall) begin
      match_valid_q <= window_valid;
      count_valid_q <= match_valid_q;
    end
    if (!stall) begin
      match_last_q <= window_last;
      count_last_q <= match_last_q;
    end
  end

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
      .enable_i    (!stall),
      .signs_i     (window[Simd-1:0]),
      .masked_i    (Masked != 0 && window[Simd+Masked-1]),
      .weights_i   (weights),
      .last_i      (count_last_q),
      .group_step_i(step),
      .state_i     (state_q),
      .state_o     (state_d)
  );

  // One condition, and a constant: the set or reset input of the flip-flops, and no LUT.
  logic restart;
  assign restart = !rst_ni || (step && count_last_q);

  always_ff @(posedge clk_i) begin
    if (restart) state_q[Pe*SumBits-1:0] <= {Pe{Start}};
    else if (step) state_q[Pe*SumBits-1:0] <= state_d[Pe*SumBits-1:0];
  end
  if (StateBits > SumBits) begin : gen_groups
    always_ff @(posedge clk_i) if (step) state_q[Pe*StateBits-1:Pe*SumBits] <= state_d[Pe*StateBits-1:Pe*SumBits];
  end

  if (Majority) begin : gen_sign
    assign result       = state_d[Pe*SumBits-1:0];
    assign result_valid = count_valid_q && count_last_q;
  end else begin : gen_sum
    logic [Pe*SumBits-1:0] sum_q;
    logic sum_valid_q;

    assign result       = sum_q;
    assign result_valid = sum_valid_q;

    always_ff @(posedge clk_i) begin
      if (!rst_ni) sum_valid_q <= 1'b0;
      else if (!stall) sum_valid_q <= count_valid_q && count_last_q;
      if (!stall) sum_q <= state_d[Pe*SumBits-1:0];
    end
  end

  popcount_activation #(
      .Activation    (Activation),
      .Pe            (Pe),
      .CountBits     (SumBits),
      .OutBits       (OutBits),
      .Voters        (Voters),
      .Unit          (Unit),
      .Words         (NF),
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
      .in_data_i (result),
      .in_valid_i(result_valid),
      .in_ready_o(result_ready),
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );

endmodule
