/// Turns unsigned pixels into signed ones: out = in - 128, uint8 to int8: the top bit flips. The pixels are registered.
module pixel_offset #(
    parameter int unsigned P = 8  // pixels a beat
) (
    input  logic           clk_i,
    input  logic           rst_ni,
    input  logic [P*8-1:0] in_data_i,    // P pixels, 0 to 255
    input  logic           in_valid_i,
    output logic           in_ready_o,
    output logic [P*8-1:0] out_data_o,   // P pixels, -128 to 127
    output logic           out_valid_o,
    input  logic           out_ready_i
);
  stream_slice #(
      .Width(P * 8)
  ) i_out (
      .clk_i,
      .rst_ni,
      .in_data_i(in_data_i ^ {P{8'h80}}),
      .in_valid_i,
      .in_ready_o,
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );
endmodule
