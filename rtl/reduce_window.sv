/// Reduces windows channel by channel: depthwise convolutions, and pools of windows that overlap or not.
///
///   "sum"   `out[o] = saturate((bias[o] + sum over the taps t of w[o][t] * x[t][c]) >>> Shift)`, or, where Scaled,
///           `saturate((multiplier[o] * (sum over t of w[o][t] * x[t][c]) + bias[o]) >>> Shift)`; without weights the plain sum of
///           the taps. A channel c has Outputs/Channels outputs in a row, o = c * Outputs/Channels first
///   "max"   the largest of the taps, signed; of bipolar elements (InBits 1) that is their OR
///   "min"   the smallest
///
/// A window comes in blocks of Simd channels: the Taps beats of the first block, then those of the next. A beat is one tap, and the
/// Taps beats of a block become a beat of Pe = Simd * Outputs/Channels outputs. Stages: with weights a register and the product, then
/// the sum (or the largest) so far, then where Scaled the product by the multiplier (multiply_shift), and the output register. One
/// input beat a cycle, with no gap between blocks, windows or frames; so the number of pixels is no parameter. AccBits and SumBits must
/// hold the exact values: both wrap.
///
/// WeightFile has Channels/Simd * Taps words of Pe weights: word b*Taps + t holds, as element e, the weight of output b*Pe + e and
/// tap t. BiasFile has Channels/Simd words of Pe biases of AccBits, element e of word b for output b*Pe + e; MultiplierFile has the
/// multipliers in the same way; with Positions it has as many sets of them, and RowFile and ColumnFile say which set a window has
/// (position_table).
module reduce_window #(
    parameter              Reduction      = "sum",    // "sum", "max" or "min"
    parameter int unsigned Taps           = 9,        // of a window
    parameter int unsigned Channels       = 16,       // of the map whose windows come
    parameter int unsigned Outputs        = Channels, // channels that leave, a multiple of Channels; of a "max" or "min" as many
    parameter int unsigned Simd           = 4,        // channels of a block, divides Channels
    parameter int unsigned InBits         = 8,        // of an element: signed, or bipolar where 1
    parameter int unsigned Masked         = 0,        // 1: a beat has one bit more, the highest, which says that its tap counts as 0
    parameter int unsigned WeightBits     = 0,        // of a weight: 0 without weights, bipolar where 1, else signed
    parameter int unsigned OutBits        = 8,        // of an output; of a "max" or "min" InBits
    parameter int unsigned AccBits        = 24,       // of a bias and of what is shifted
    parameter int unsigned Shift          = 0,        // right shift before the saturation, less than AccBits
    parameter int unsigned Even           = 0,        // 1: halves, which the biases add, go to the even neighbour (shift_saturate)
    parameter int unsigned Scaled         = 0,        // 1: there are multipliers
    parameter int unsigned SumBits        = 24,       // of a sum, where Scaled
    parameter int unsigned MultiplierBits = 8,        // of a multiplier, signed
    parameter int unsigned Positions      = 0,        // sets of multipliers for windows at several places; 0: one; only where Scaled
    parameter int unsigned Rows           = 1,        // of windows, with Positions
    parameter int unsigned Columns        = 1,        // of windows, with Positions
    parameter              WeightFile     = "",       // for $readmemh, with weights
    parameter              BiasFile       = "",       // for $readmemh, of a "sum"
    parameter              MultiplierFile = "",       // for $readmemh, where Scaled
    parameter              RowFile        = "",       // for $readmemh, with Positions
    parameter              ColumnFile     = "",       // for $readmemh, with Positions
    parameter              MemoryStyle    = "auto",   // of the weights: "block", "distributed" or "auto"
    localparam int unsigned BeatBits      = Simd * InBits + (Masked != 0 ? 1 : 0),
    localparam int unsigned Pe            = Simd * (Outputs / Channels)
) (
    input  logic                  clk_i,
    input  logic                  rst_ni,       // back to the first beat of a window
    input  logic [  BeatBits-1:0] in_data_i,    // a tap of Simd channels
    input  logic                  in_valid_i,
    output logic                  in_ready_o,
    output logic [Pe*OutBits-1:0] out_data_o,   // Pe outputs, in order
    output logic                  out_valid_o,
    input  logic                  out_ready_i
);
  // Strings of one length: Verilator and Yosys compare no others without a word.
  localparam logic [31:0] Name = 32'(Reduction);
  localparam logic Sums    = Name == 32'("sum");
  localparam logic Largest = Name == 32'("max");

  localparam int unsigned Blocks      = Channels / Simd;
  localparam int unsigned PerChannel  = Outputs / Channels;
  localparam int unsigned TermBits    = Sums && InBits == 1 && WeightBits == 0 ? 2 : InBits + WeightBits;
  localparam int unsigned StateBits   = !Sums ? InBits : Scaled != 0 ? SumBits : AccBits;

  // synthesis translate_off
  initial begin
    if (!(Sums || Largest || Name == 32'("min"))) $fatal(1, "reduce_window: %0s is none of sum, max, min", Reduction);
    if (Blocks * Simd != Channels) $fatal(1, "reduce_window: Simd %0d does not divide Channels %0d", Simd, Channels);
    if (PerChannel * Channels != Outputs)
      $fatal(1, "reduce_window: Outputs %0d is no multiple of Channels %0d", Outputs, Channels);
    if (Positions != 0 && (Scaled == 0 || Taps == 1))
      $fatal(1, "reduce_window: Positions %0d need Scaled and several taps", Positions);
    if (!Sums && (Outputs != Channels || OutBits != InBits || WeightBits != 0 || Masked != 0 || Scaled != 0))
      $fatal(1, "reduce_window: a %0s has the outputs and bits of its input, no weights, mask or multipliers", Reduction);
  end
  // synthesis translate_on

  localparam int unsigned TapBits = Taps > 1 ? $clog2(Taps) : 1;

  logic stall;
  logic [TapBits-1:0] tap;
  logic in_first, in_last, in_masked;
  logic term_valid, term_first, term_last, term_masked;  // of what enters the sum
  logic [Pe*TermBits-1:0] terms;
  logic [Pe*StateBits-1:0] states;
  logic state_valid_q, state_taken;

  assign stall      = state_valid_q && !state_taken;
  assign in_ready_o = !stall;

  counter #(
      .Count(Taps)
  ) i_tap (
      .clk_i,
      .rst_ni,
      .step_i (in_valid_i && !stall),
      .count_o(tap),
      .last_o (in_last)
  );
  assign in_first = tap == TapBits'(0);

  if (Masked != 0) begin : gen_mask
    assign in_masked = in_data_i[BeatBits-1];
  end else begin : gen_no_mask
    assign in_masked = 1'b0;
  end

  if (WeightBits == 0) begin : gen_taps
    assign {term_valid, term_first, term_last, term_masked} = {in_valid_i, in_first, in_last, in_masked};

    for (genvar e = 0; e < Pe; e++) begin : gen_term
      logic [InBits-1:0] element;
      assign element = in_data_i[(e/PerChannel)*InBits+:InBits];
      if (Sums && InBits == 1) begin : gen_sign
        assign terms[e*TermBits+:TermBits] = {!element, 1'b1};
      end else begin : gen_element
        assign terms[e*TermBits+:TermBits] = element;
      end
    end
  end else begin : gen_products
    localparam int unsigned AddressBits = Blocks * Taps > 1 ? $clog2(Blocks * Taps) : 1;
    logic [AddressBits-1:0] address;
    logic [Simd*InBits-1:0] elements_q;
    logic [Pe*WeightBits-1:0] weights;
    logic element_valid_q, element_first_q, element_last_q, element_masked_q;
    logic term_valid_q, term_first_q, term_last_q, term_masked_q;
    logic unused_last;

    counter #(
        .Count(Blocks * Taps)
    ) i_address (
        .clk_i,
        .rst_ni,
        .step_i (in_valid_i && !stall),
        .count_o(address),
        .last_o (unused_last)
    );

    rom #(
        .Words      (Blocks * Taps),
        .Width      (Pe * WeightBits),
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
        element_valid_q <= 1'b0;
        term_valid_q    <= 1'b0;
      end else if (!stall) begin
        element_valid_q <= in_valid_i;
        term_valid_q    <= element_valid_q;
      end
      if (!stall) begin
        elements_q <= in_data_i[Simd*InBits-1:0];
        {element_first_q, element_last_q, element_masked_q} <= {in_first, in_last, in_masked};
        {term_first_q, term_last_q, term_masked_q} <= {element_first_q, element_last_q, element_masked_q};
      end
    end
    assign {term_valid, term_first, term_last, term_masked} = {term_valid_q, term_first_q, term_last_q, term_masked_q};

    for (genvar e = 0; e < Pe; e++) begin : gen_term
      logic [InBits-1:0] element;
      logic [WeightBits-1:0] weight;
      assign element = elements_q[(e/PerChannel)*InBits+:InBits];
      assign weight  = weights[e*WeightBits+:WeightBits];

      if (InBits > 1 && WeightBits > 1) begin : gen_product
        product #(
            .ABits(InBits),
            .BBits(WeightBits)
        ) i_product (
            .clk_i,
            .enable_i (!stall),
            .a_i      (element),
            .b_i      (weight),
            .product_o(terms[e*TermBits+:TermBits])
        );
      end else begin : gen_sign
        logic [TermBits-1:0] number, term_q;
        logic subtract;  // -x is the complement of x, and 1

        if (InBits == 1) begin : gen_weight
          assign number   = WeightBits == 1 ? TermBits'({!weight[0], 1'b1}) : TermBits'($signed(weight));
          assign subtract = !element[0];
        end else begin : gen_element
          assign number   = TermBits'($signed(element));
          assign subtract = !weight[0];
        end
        always_ff @(posedge clk_i) if (!stall) term_q <= (number ^ {TermBits{subtract}}) + TermBits'(subtract);
        assign terms[e*TermBits+:TermBits] = term_q;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) state_valid_q <= 1'b0;
    else if (!stall) state_valid_q <= term_valid && term_last;
  end

  if (Sums) begin : gen_sum
    logic [Pe*StateBits-1:0] start;

    for (genvar e = 0; e < Pe; e++) begin : gen_output
      logic [StateBits-1:0] state_q, term;
      assign term = term_masked ? StateBits'(0) : StateBits'($signed(terms[e*TermBits+:TermBits]));
      always_ff @(posedge clk_i)
        if (!stall && term_valid) state_q <= (term_first ? start[e*StateBits+:StateBits] : state_q) + term;
      assign states[e*StateBits+:StateBits] = state_q;
    end

    if (Scaled != 0) begin : gen_scaled
      assign start = {Pe * StateBits{1'b0}};

      multiply_shift #(
          .P             (Pe),
          .Words         (Blocks),
          .InBits        (SumBits),
          .MultiplierBits(MultiplierBits),
          .AccBits       (AccBits),
          .Shift         (Shift),
          .Even          (Even),
          .OutBits       (OutBits),
          .Positions     (Positions),
          .Rows          (Rows),
          .Columns       (Columns),
          .MultiplierFile(MultiplierFile),
          .OffsetFile    (BiasFile),
          .RowFile       (RowFile),
          .ColumnFile    (ColumnFile)
      ) i_scale (
          .clk_i,
          .rst_ni,
          .in_data_i (states),
          .in_valid_i(state_valid_q),
          .in_ready_o(state_taken),
          .out_data_o,
          .out_valid_o,
          .out_ready_i
      );
    end else begin : gen_plain
      logic [Pe*OutBits-1:0] results;

      channel_table #(
          .Words      (Blocks),
          .Width      (Pe * AccBits),
          .File       (BiasFile),
          .MemoryStyle("distributed")
      ) i_biases (
          .clk_i,
          .rst_ni,
          .step_i(!stall && term_valid && term_first),
          .word_o(start)
      );

      for (genvar e = 0; e < Pe; e++) begin : gen_result
        shift_saturate #(
            .InBits (AccBits),
            .Shift  (Shift),
            .Even   (Even),
            .OutBits(OutBits)
        ) i_shift (
            .value_i(states[e*AccBits+:AccBits]),
            .value_o(results[e*OutBits+:OutBits])
        );
      end

      stream_slice #(
          .Width(Pe * OutBits)
      ) i_out (
          .clk_i,
          .rst_ni,
          .in_data_i (results),
          .in_valid_i(state_valid_q),
          .in_ready_o(state_taken),
          .out_data_o,
          .out_valid_o,
          .out_ready_i
      );
    end
  end else begin : gen_extreme
    logic unused_masked;
    assign unused_masked = term_masked;

    for (genvar e = 0; e < Pe; e++) begin : gen_output
      logic [InBits-1:0] state_q, element;
      logic above, better;
      assign element = terms[e*TermBits+:InBits];
      assign above   = InBits == 1 ? element > state_q : $signed(element) > $signed(state_q);
      assign better  = Largest ? above : !above;
      always_ff @(posedge clk_i) if (!stall && term_valid && (term_first || better)) state_q <= element;
      assign states[e*InBits+:InBits] = state_q;
    end

    stream_slice #(
        .Width(Pe * OutBits)
    ) i_out (
        .clk_i,
        .rst_ni,
        .in_data_i (states),
        .in_valid_i(state_valid_q),
        .in_ready_o(state_taken),
        .out_data_o,
        .out_valid_o,
        .out_ready_i
    );
  end
endmodule
