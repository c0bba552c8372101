/// Binary matrix-vector engine: for every window of Inputs signs, output o is the activation of what the window and weight[o] agree in.
/// By default that is a vote: 1 (+1) when `popcount(window XNOR weight[o]) >= Threshold`, when Threshold or more products are +1.
///
/// A window comes as SF = Inputs/Simd beats and is used for NF = Outputs/Pe passes (window_replay). Stages: fetch, XNOR and
/// popcount, accumulate (popcount_lane: matches, or votes of groups), activate (popcount_activation, the output register). A
/// window takes NF*SF cycles, with no gap between passes, windows or frames; where a frame ends makes no difference here, so
/// the number of pixels is no parameter.
///
/// With Masked a beat has one bit more, the highest: 1 if it lies outside the map and has no part in the sums. With a Group every
/// Group neighbours vote first, and their votes are counted; Group is a multiple of Simd or divides it. Threshold is of what is
/// counted (see popcount_lane): matches (2 for each if Masked), or votes of groups.
///
/// WeightFile has NF*SF words of Pe*Simd bits; word nf*SF + sf holds, in bit e*Simd + i, the weight of output nf*Pe + e
/// and input sf*Simd + i; 1 is +1. The files of the activations have NF words of Pe elements, element e of word nf for output
/// nf*Pe + e: see threshold and popcount_scale.
module xnor_popcount #(
    parameter int unsigned Inputs         = 576,               // signs a window (kernel * kernel * channels)
    parameter int unsigned Outputs        = 64,                // output channels
    parameter int unsigned Pe             = 1,                 // outputs at a time, divides Outputs
    parameter int unsigned Simd           = 32,                // inputs at a time, divides Inputs
    parameter int unsigned Masked         = 0,                 // 1: a beat carries a mask
    parameter int unsigned Group          = 0,                 // signs that vote together; 0: no groups
    parameter int          GroupThreshold = 0,                 // the least sum of a group that votes +1
    parameter              Activation     = "majority_vote",   // see popcount_activation
    parameter int unsigned Threshold      = (Inputs + 1) / 2,  // the least count that votes +1; default: the majority of all signs
    parameter int unsigned OutBits        = 1,                 // of an output; a vote has 1
    parameter int unsigned MultiplierBits = 8,                 // popcount_scale
    parameter int unsigned OffsetBits     = 16,                // popcount_scale
    parameter int unsigned Shift          = 0,                 // popcount_scale
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
  localparam int unsigned SumBits     = $clog2(Unit * Voters + 1);  // of a window
  localparam int unsigned StateBits   = SumBits + (Group > Simd ? $clog2(Group + 1) : 0);

  // synthesis translate_off
  initial begin
    if (SF * Simd != Inputs) $fatal(1, "xnor_popcount: Simd %0d does not divide Inputs %0d", Simd, Inputs);
    if (NF * Pe != Outputs) $fatal(1, "xnor_popcount: Pe %0d does not divide Outputs %0d", Pe, Outputs);
    if (Masked > 1) $fatal(1, "xnor_popcount: Masked is %0d, must be 0 or 1", Masked);
  end
  // synthesis translate_on

  logic                    stall, sum_ready;
  logic [ AddressBits-1:0] address;
  logic [ Simd+Masked-1:0] window;
  logic [     Pe*Simd-1:0] weights;
  logic                    window_valid, window_first, window_last;
  logic                    count_valid_q, count_first_q, count_last_q, sum_valid_q;
  logic [Pe*StateBits-1:0] state_d, state_q;

  assign stall = sum_valid_q && !sum_ready;

  window_replay #(
      .Width (Simd + Masked),
      .Beats (SF),
      .Passes(NF)
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
      .first_o  (window_first),
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
      count_valid_q <= 1'b0;
      sum_valid_q   <= 1'b0;
    end else if (!stall) begin
      count_valid_q <= window_valid;
      sum_valid_q   <= count_valid_q && count_last_q;
    end
    if (!stall) begin
      count_first_q <= window_first;
      count_last_q  <= window_last;
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
      .first_i     (count_first_q),
      .last_i      (count_last_q),
      .group_step_i(!stall && count_valid_q),
      .state_i     (state_q),
      .state_o     (state_d)
  );

  always_ff @(posedge clk_i) if (!stall && count_valid_q) state_q <= state_d;

  popcount_activation #(
      .Activation    (Activation),
      .Pe            (Pe),
      .CountBits     (SumBits),
      .OutBits       (OutBits),
      .Voters        (Voters),
      .Unit          (Unit),
      .Words         (NF),
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
      .in_data_i (state_q[Pe*SumBits-1:0]),
      .in_valid_i(sum_valid_q),
      .in_ready_o(sum_ready),
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );

endmodule
