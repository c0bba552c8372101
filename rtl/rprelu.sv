/// ReActNet's activation with slopes that are powers of two: out = saturate_Bits(v + after[channel]), where v is
/// u = in + before[channel], shifted right by slope[channel] (rounded down) if it is negative.
///
/// Three stages: the first addition, the shift, the second addition with its saturation (the output register). All of them wait
/// when the output does.
module rprelu #(
    parameter int unsigned Channels    = 8,      // channels of a pixel, a multiple of P
    parameter int unsigned P           = 1,      // elements a beat
    parameter int unsigned Bits        = 10,     // bits of a signed element, in and out, and of before and after; at least 2
    parameter int unsigned SlopeBits   = 4,      // bits of a shift, which is unsigned
    parameter              TableFile   = "",     // Channels/P words of P triples {after, slope, before}, before in the low bits
    parameter              MemoryStyle = "auto"  // rom_style of the table
) (
    input  logic              clk_i,
    input  logic              rst_ni,       // back to channel 0, and the stages are empty
    input  logic [P*Bits-1:0] in_data_i,    // P elements
    input  logic              in_valid_i,
    output logic              in_ready_o,
    output logic [P*Bits-1:0] out_data_o,   // P elements
    output logic              out_valid_o,
    input  logic              out_ready_i
);
  // synthesis translate_off
  initial begin
    if (P == 0 || Channels % P != 0) $fatal(1, "rprelu: P = %0d does not divide %0d channels", P, Channels);
    if (Bits < 2) $fatal(1, "rprelu: an element has %0d bits, must have at least 2", Bits);
  end
  // synthesis translate_on

  localparam int unsigned TripleBits = 2 * Bits + SlopeBits;
  localparam int unsigned SumBits = Bits + 2;

  logic [P*TripleBits-1:0] triples;
  logic [P*Bits-1:0] sums;
  logic moved_valid_q, bent_valid_q;

  channel_table #(
      .Words      (Channels / P),
      .Width      (P * TripleBits),
      .File       (TableFile),
      .MemoryStyle(MemoryStyle)
  ) i_triples (
      .clk_i,
      .rst_ni,
      .step_i(in_valid_i && in_ready_o),
      .word_o(triples)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      moved_valid_q <= 1'b0;
      bent_valid_q  <= 1'b0;
    end else if (in_ready_o) begin
      moved_valid_q <= in_valid_i;
      bent_valid_q  <= moved_valid_q;
    end
  end

  for (genvar i = 0; i < P; i++) begin : gen_element
    logic signed [Bits-1:0] x, offset, moved_after_q, bent_after_q;
    logic signed [Bits:0] moved_q, bent_q;
    logic [SlopeBits-1:0] slope_q, shift;

    assign x      = in_data_i[i*Bits+:Bits];
    assign offset = triples[i*TripleBits+:Bits];
    assign shift  = moved_q < 0 ? slope_q : SlopeBits'(0);

    saturate #(
        .InBits (SumBits),
        .OutBits(Bits)
    ) i_saturate (
        .value_i(SumBits'(bent_q) + SumBits'(bent_after_q)),
        .value_o(sums[i*Bits+:Bits])
    );

    always_ff @(posedge clk_i) begin
      if (in_ready_o) begin
        moved_q       <= (Bits + 1)'(x) + (Bits + 1)'(offset);
        slope_q       <= triples[i*TripleBits+Bits+:SlopeBits];
        moved_after_q <= triples[i*TripleBits+Bits+SlopeBits+:Bits];
        bent_q        <= moved_q >>> shift;
        bent_after_q  <= moved_after_q;
      end
    end
  end

  stream_slice #(
      .Width(P * Bits)
  ) i_out (
      .clk_i,
      .rst_ni,
      .in_data_i (sums),
      .in_valid_i(bent_valid_q),
      .in_ready_o,
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );
endmodule
