/// A PReLU of any slopes, two straight lines a channel: out = saturate((m * in + b) >>> Shift) to OutBits, where m and b are
/// up[channel] and up_offset[channel] if in >= step[channel], else down[channel] and down_offset[channel].
///
/// The shift rounds down. Three stages: the choice of the line, which comes first so that an element has one multiplier; the
/// product, registered as in a DSP slice; the addition, shift and saturation (the output register). All of them wait when the
/// output does.
module prelu #(
    parameter int unsigned Channels       = 8,      // channels of a pixel, a multiple of P
    parameter int unsigned P              = 1,      // elements a beat
    parameter int unsigned InBits         = 8,      // bits of an input, signed; a step has one more, for 2^(InBits-1): never
    parameter int unsigned OutBits        = 8,      // bits of an output, signed
    parameter int unsigned MultiplierBits = 16,     // bits of down and up, signed
    parameter int unsigned OffsetBits     = 24,     // bits of down_offset and up_offset, signed
    parameter int unsigned Shift          = 8,      // right shift before the saturation
    parameter              TableFile      = "",     // Channels/P words of P tuples {up_offset, up, down_offset, down, step}
    parameter              MemoryStyle    = "auto"  // rom_style of the table
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,       // back to channel 0, and the stages are empty
    input  logic [ P*InBits-1:0] in_data_i,    // P elements
    input  logic                 in_valid_i,
    output logic                 in_ready_o,
    output logic [P*OutBits-1:0] out_data_o,   // P elements
    output logic                 out_valid_o,
    input  logic                 out_ready_i
);
  // synthesis translate_off
  initial if (P == 0 || Channels % P != 0) $fatal(1, "prelu: P = %0d does not divide %0d channels", P, Channels);
  // synthesis translate_on

  localparam int unsigned TupleBits   = InBits + 1 + 2 * (MultiplierBits + OffsetBits);
  localparam int unsigned ProductBits = InBits + MultiplierBits;
  localparam int unsigned SumBits     = (ProductBits > OffsetBits ? ProductBits : OffsetBits) + 1;
  localparam int unsigned ShiftedBits = SumBits > Shift ? SumBits - Shift : 1;

  logic [P*TupleBits-1:0] tuples;
  logic [P*OutBits-1:0] results;
  logic line_valid_q, product_valid_q;

  channel_table #(
      .Words      (Channels / P),
      .Width      (P * TupleBits),
      .File       (TableFile),
      .MemoryStyle(MemoryStyle)
  ) i_tuples (
      .clk_i,
      .rst_ni,
      .step_i(in_valid_i && in_ready_o),
      .word_o(tuples)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      line_valid_q    <= 1'b0;
      product_valid_q <= 1'b0;
    end else if (in_ready_o) begin
      line_valid_q    <= in_valid_i;
      product_valid_q <= line_valid_q;
    end
  end

  for (genvar i = 0; i < P; i++) begin : gen_element
    logic signed [        InBits-1:0] x, x_q;
    logic signed [          InBits:0] step;
    logic signed [MultiplierBits-1:0] down, up, multiplier_q;
    logic signed [    OffsetBits-1:0] down_offset, up_offset, line_offset_q, offset_q;
    logic signed [   ProductBits-1:0] product_q;
    logic signed [       SumBits-1:0] sum;
    logic                             above;

    assign x = in_data_i[i*InBits+:InBits];
    assign {up_offset, up, down_offset, down, step} = tuples[i*TupleBits+:TupleBits];
    assign above   = (InBits + 1)'(x) >= step;
    assign sum     = SumBits'(product_q) + SumBits'(offset_q);

    saturate #(
        .InBits (ShiftedBits),
        .OutBits(OutBits)
    ) i_saturate (
        .value_i(ShiftedBits'(sum >>> Shift)),
        .value_o(results[i*OutBits+:OutBits])
    );

    always_ff @(posedge clk_i) begin
      if (in_ready_o) begin
        x_q           <= x;
        multiplier_q  <= above ? up : down;
        line_offset_q <= above ? up_offset : down_offset;
        product_q     <= x_q * multiplier_q;
        offset_q      <= line_offset_q;
      end
    end
  end

  stream_slice #(
      .Width(P * OutBits)
  ) i_out (
      .clk_i,
      .rst_ni,
      .in_data_i (results),
      .in_valid_i(product_valid_q),
      .in_ready_o,
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );
endmodule
