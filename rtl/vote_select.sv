/// Picks one of two constants per channel by its vote: out = vote ? hi[channel] : lo[channel]. The constants are registered.
module vote_select #(
    parameter int unsigned Channels    = 8,      // channels of a pixel, a multiple of P
    parameter int unsigned P           = 1,      // votes, and elements, a beat
    parameter int unsigned Bits        = 8,      // bits of a constant
    parameter              TableFile   = "",     // Channels/P words of P pairs {hi, lo}, see docs/architecture.md
    parameter              MemoryStyle = "auto"  // rom_style of the table
) (
    input  logic              clk_i,
    input  logic              rst_ni,       // back to channel 0
    input  logic [     P-1:0] in_data_i,    // P votes, 1 for hi
    input  logic              in_valid_i,
    output logic              in_ready_o,
    output logic [P*Bits-1:0] out_data_o,   // P constants
    output logic              out_valid_o,
    input  logic              out_ready_i
);
  // synthesis translate_off
  initial if (Channels % P != 0) $fatal(1, "vote_select: P = %0d does not divide %0d channels", P, Channels);
  // synthesis translate_on

  logic [2*P*Bits-1:0] pairs;
  logic [P*Bits-1:0] chosen;

  channel_table #(
      .Words      (Channels / P),
      .Width      (2 * P * Bits),
      .File       (TableFile),
      .MemoryStyle(MemoryStyle)
  ) i_pairs (
      .clk_i,
      .rst_ni,
      .step_i(in_valid_i && in_ready_o),
      .word_o(pairs)
  );

  for (genvar i = 0; i < P; i++) begin : gen_element
    // hi is the upper half of the pair
    assign chosen[i*Bits+:Bits] = in_data_i[i] ? pairs[(2*i+1)*Bits+:Bits] : pairs[2*i*Bits+:Bits];
  end

  stream_slice #(
      .Width(P * Bits)
  ) i_out (
      .clk_i,
      .rst_ni,
      .in_data_i (chosen),
      .in_valid_i,
      .in_ready_o,
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );
endmodule
