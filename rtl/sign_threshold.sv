/// Binarizes integers: bit = (x >= t[channel]), a threshold per channel; 1 stands for +1. The bits are registered.
module sign_threshold #(
    parameter int unsigned Channels      = 8,      // channels of a pixel, a multiple of P
    parameter int unsigned P             = 1,      // elements a beat
    parameter int unsigned Bits          = 8,      // bits of x and of a threshold, both signed
    parameter              ThresholdFile = "",     // Channels/P words of P thresholds, see docs/architecture.md
    parameter              MemoryStyle   = "auto"  // rom_style of the thresholds
) (
    input  logic              clk_i,
    input  logic              rst_ni,       // back to channel 0
    input  logic [P*Bits-1:0] in_data_i,    // P signed elements
    input  logic              in_valid_i,
    output logic              in_ready_o,
    output logic [     P-1:0] out_data_o,   // P signs
    output logic              out_valid_o,
    input  logic              out_ready_i
);
  // synthesis translate_off
  initial if (Channels % P != 0) $fatal(1, "sign_threshold: P = %0d does not divide %0d channels", P, Channels);
  // synthesis translate_on

  logic [P*Bits-1:0] thresholds;
  logic [P-1:0] signs;

  channel_table #(
      .Words      (Channels / P),
      .Width      (P * Bits),
      .File       (ThresholdFile),
      .MemoryStyle(MemoryStyle)
  ) i_thresholds (
      .clk_i,
      .rst_ni,
      .step_i(in_valid_i && in_ready_o),
      .word_o(thresholds)
  );

  for (genvar i = 0; i < P; i++) begin : gen_element
    assign signs[i] = $signed(in_data_i[i*Bits+:Bits]) >= $signed(thresholds[i*Bits+:Bits]);
  end

  stream_slice #(
      .Width(P)
  ) i_out (
      .clk_i,
      .rst_ni,
      .in_data_i (signs),
      .in_valid_i,
      .in_ready_o,
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );
endmodule
