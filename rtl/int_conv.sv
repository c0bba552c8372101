/// Integer matrix-vector engine: for every window x, `out[o] = saturate((sum over i of w[o][i] * x[i] + bias[o]) >>> Shift)`;
/// where Scaled, `out[o] = saturate((multiplier[o] * (sum over i of w[o][i] * x[i]) + bias[o]) >>> Shift)`.
///
/// The shift rounds down, or as shift_saturate says; the saturation is to OutBits signed bits (with OutBits >= AccBits - Shift it is a
/// sign extension). A window comes as SF = Inputs/Simd beats and is used for NF = Outputs/Pe passes (window_replay). Stages:
/// fetch, multiply, add the Simd products (two from Simd 9 on), accumulate from the bias on, shift and saturate (the output
/// register). Where Scaled, they accumulate from 0 on, and multiply_shift does the rest. A window takes NF*SF cycles, with no gap between passes, windows or frames; where a frame
/// ends makes no difference here, so the number of pixels is no parameter. AccBits and SumBits must hold the exact values: both
/// wrap.
///
/// A grouped convolution has ConvGroups: its window comes group after group, SF beats each, and NF/ConvGroups passes belong to a group.
///
/// Inputs or weights of one bit are -1 and +1, and need no multiplier. The sums are then those of add_subtract, and the biases make up
/// for what they are off by: Inputs * 2^(B-1) too large with numbers of B bits, and, unless Corrected, too small by the number of signs
/// that are -1. (Of weights that is a constant. Of inputs it is not.)
///
/// WeightFile has NF*SF words of Pe*Simd weights; word nf*SF + sf holds, as element e*Simd + i, the weight of output
/// nf*Pe + e and input sf*Simd + i. BiasFile has NF words of Pe biases of AccBits, element e of word nf for output nf*Pe + e;
/// MultiplierFile has the multipliers in the same way.
module int_conv #(
    parameter int unsigned Inputs         = 64,     // elements of a sum: of a window, or of a group of it
    parameter int unsigned Outputs        = 128,    // output channels
    parameter int unsigned Pe             = 1,      // outputs at a time, divides Outputs
    parameter int unsigned Simd           = 4,      // inputs at a time, divides Inputs
    parameter int unsigned ConvGroups     = 1,      // of a window
    parameter int unsigned InBits         = 8,      // of an input; 1: -1 and +1
    parameter int unsigned Masked         = 0,      // 1: a beat carries a mask; only with InBits 1
    parameter int unsigned WeightBits     = 8,      // of a weight; 1: -1 and +1
    parameter int unsigned Corrected      = 0,      // 1: what is subtracted is not one less; see below
    parameter int unsigned OutBits        = 8,      // of an output
    parameter int unsigned AccBits        = 24,     // of a bias and of what is shifted
    parameter int unsigned Shift          = 0,      // right shift before the saturation, less than AccBits
    parameter int unsigned Even           = 0,      // 1: halves, which the biases add, go to the even neighbour (shift_saturate)
    parameter int unsigned Scaled         = 0,      // 1: there are multipliers
    parameter int unsigned SumBits        = InBits + WeightBits - 1 + $clog2(Inputs + 1),  // of a sum, where Scaled
    parameter int unsigned MultiplierBits = 8,      // of a multiplier, signed
    parameter              WeightFile     = "",     // for $readmemh; untyped, as Yosys 0.23 knows no string parameters
    parameter              BiasFile       = "",     // for $readmemh
    parameter              MultiplierFile = "",     // for $readmemh, where Scaled
    parameter              MemoryStyle    = "auto"  // of the weights: "block", "distributed" or "auto"
) (
    input  logic                   clk_i,
    input  logic                   rst_ni,       // back to the first beat of a window
    input  logic [Simd*InBits+Masked-1:0] in_data_i,    // Simd elements of a window, and the mask
    input  logic                   in_valid_i,
    output logic                   in_ready_o,
    output logic [ Pe*OutBits-1:0] out_data_o,   // Pe signed outputs, in order
    output logic                   out_valid_o,
    input  logic                   out_ready_i
);

  localparam int unsigned SF          = Inputs / Simd;
  localparam int unsigned NF          = Outputs / Pe;
  localparam int unsigned AddressBits = SF * NF > 1 ? $clog2(SF * NF) : 1;
  localparam int unsigned PassBits    = NF > 1 ? $clog2(NF) : 1;
  localparam logic        Signs       = InBits == 1 || WeightBits == 1;  // no multipliers
  localparam int unsigned DotBits     = InBits + WeightBits + $clog2(Signs ? Simd + 1 : Simd);
  localparam int unsigned Ranks       = Simd > 8 && !Signs ? 2 : 1;  // of dot_product
  localparam int unsigned RunningBits = Scaled != 0 ? SumBits : AccBits;

  // synthesis translate_off
  initial begin
    if (SF * Simd != Inputs) $fatal(1, "int_conv: Simd %0d does not divide Inputs %0d", Simd, Inputs);
    if (NF * Pe != Outputs) $fatal(1, "int_conv: Pe %0d does not divide Outputs %0d", Pe, Outputs);
    if (NF % ConvGroups != 0) $fatal(1, "int_conv: ConvGroups %0d and Pe %0d do not divide Outputs %0d", ConvGroups, Pe, Outputs);
    if (Scaled > 1) $fatal(1, "int_conv: Scaled is %0d, must be 0 or 1", Scaled);
    if (Shift >= AccBits) $fatal(1, "int_conv: Shift %0d is not less than AccBits %0d", Shift, AccBits);
  end
  // synthesis translate_on

  logic                          stall;
  logic [       AddressBits-1:0] address;
  logic [Simd*InBits+Masked-1:0] window;
  logic [Pe*Simd*WeightBits-1:0] weights;
  logic [    Pe*RunningBits-1:0] start, sums;
  logic                          window_valid, window_first, window_last;
  logic                          product_valid_q, product_first_q, product_last_q;
  logic                          last_rank_valid, last_rank_first, last_rank_last;  // of what enters the last rank of product_sum
  logic                          dot_valid_q, dot_first_q, dot_last_q;
  logic                          sum_valid_q, sum_taken;

  assign stall = sum_valid_q && !sum_taken;

  window_replay #(
      .Width (Simd * InBits + Masked),
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
      .first_o  (window_first),
      .last_o   (window_last)
  );

  rom #(
      .Words      (SF * NF),
      .Width      (Pe * Simd * WeightBits),
      .File       (WeightFile),
      .MemoryStyle(MemoryStyle)
  ) i_weights (
      .clk_i,
      .enable_i (!stall),
      .address_i(address),
      .word_o   (weights)
  );

  if (Scaled != 0) begin : gen_scaled
    assign start = {Pe * RunningBits{1'b0}};

    multiply_shift #(
        .P             (Pe),
        .Words         (NF),
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
        .in_data_i (sums),
        .in_valid_i(sum_valid_q),
        .in_ready_o(sum_taken),
        .out_data_o,
        .out_valid_o,
        .out_ready_i
    );
  end else begin : gen_plain
    logic [  PassBits-1:0] pass;
    logic [Pe*OutBits-1:0] results;
    logic                  unused_last;

    counter #(
        .Count(NF)
    ) i_pass (
        .clk_i,
        .rst_ni,
        .step_i (!stall && last_rank_valid && last_rank_last),
        .count_o(pass),
        .last_o (unused_last)
    );

    // Read beside the products' sum, so that they are there when the pass starts to accumulate.
    rom #(
        .Words      (NF),
        .Width      (Pe * AccBits),
        .File       (BiasFile),
        .MemoryStyle("distributed")
    ) i_biases (
        .clk_i,
        .enable_i (!stall),
        .address_i(pass),
        .word_o   (start)
    );

    for (genvar e = 0; e < Pe; e++) begin : gen_result
      shift_saturate #(
          .InBits (AccBits),
          .Shift  (Shift),
          .Even   (Even),
          .OutBits(OutBits)
      ) i_shift (
          .value_i(sums[e*AccBits+:AccBits]),
          .value_o(results[e*OutBits+:OutBits])
      );
    end

    stream_slice #(
        .Width(Pe * OutBits)
    ) i_out (
        .clk_i,
        .rst_ni,
        .in_data_i (results),
        .in_valid_i(sum_valid_q),
        .in_ready_o(sum_taken),
        .out_data_o,
        .out_valid_o,
        .out_ready_i
    );
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      product_valid_q <= 1'b0;
      dot_valid_q     <= 1'b0;
      sum_valid_q     <= 1'b0;
    end else if (!stall) begin
      product_valid_q <= window_valid;
      dot_valid_q     <= last_rank_valid;
      sum_valid_q     <= dot_valid_q && dot_last_q;
    end
    if (!stall) begin
      product_first_q <= window_first;
      product_last_q  <= window_last;
      dot_first_q     <= last_rank_first;
      dot_last_q      <= last_rank_last;
    end
  end

  if (Ranks == 1) begin : gen_one_rank
    assign {last_rank_valid, last_rank_first, last_rank_last} = {product_valid_q, product_first_q, product_last_q};
  end else begin : gen_two_ranks
    logic eights_valid_q, eights_first_q, eights_last_q;

    always_ff @(posedge clk_i) begin
      if (!rst_ni) eights_valid_q <= 1'b0;
      else if (!stall) eights_valid_q <= product_valid_q;
      if (!stall) {eights_first_q, eights_last_q} <= {product_first_q, product_last_q};
    end
    assign {last_rank_valid, last_rank_first, last_rank_last} = {eights_valid_q, eights_first_q, eights_last_q};
  end

  for (genvar e = 0; e < Pe; e++) begin : gen_pe
    logic signed [DotBits-1:0] dot_q;
    logic signed [RunningBits-1:0] sum_q;

    dot_product #(
        .Simd      (Simd),
        .InBits    (InBits),
        .WeightBits(WeightBits),
        .Corrected (Corrected),
        .Masked    (Masked)
    ) i_dot (
        .clk_i,
        .enable_i (!stall),
        .inputs_i (window[Simd*InBits-1:0]),
        .weights_i(weights[e*Simd*WeightBits+:Simd*WeightBits]),
        .masked_i (Masked != 0 && window[Simd*InBits+Masked-1]),
        .sum_o    (dot_q)
    );

    always_ff @(posedge clk_i) begin
      if (!stall && dot_valid_q)
        sum_q <= (dot_first_q ? $signed(start[e*RunningBits+:RunningBits]) : sum_q) + RunningBits'(dot_q);
    end
    assign sums[e*RunningBits+:RunningBits] = sum_q;

    logic unused;  // bits that only repeat the sign, where small weights leave the sums narrower than Simd products could be
    assign unused = (&dot_q) & (&sum_q);
  end

endmodule
