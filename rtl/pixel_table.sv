/// Looks pixels up in a table that is the same for all channels: out = table[in]. The values are registered.
module pixel_table #(
    parameter int unsigned P         = 8,  // pixels a beat
    parameter int unsigned Bits      = 8,  // bits of a value, signed
    parameter              TableFile = ""  // 256 words of Bits bits: the values of the pixels 0, 1, ..., 255
) (
    input  logic              clk_i,
    input  logic              rst_ni,
    input  logic [   P*8-1:0] in_data_i,    // P pixels, 0 to 255
    input  logic              in_valid_i,
    output logic              in_ready_o,
    output logic [P*Bits-1:0] out_data_o,   // P values
    output logic              out_valid_o,
    input  logic              out_ready_i
);
  stream_stage i_stage (
      .clk_i,
      .rst_ni,
      .in_valid_i,
      .in_ready_o,
      .out_valid_o,
      .out_ready_i
  );

  for (genvar i = 0; i < P; i++) begin : gen_pixel
    rom #(
        .Words      (256),
        .Width      (Bits),
        .File       (TableFile),
        .MemoryStyle("distributed")  // a block RAM would serve two of the P pixels only
    ) i_values (
        .clk_i,
        .enable_i (in_ready_o),
        .address_i(in_data_i[i*8+:8]),
        .word_o   (out_data_o[i*Bits+:Bits])
    );
  end
endmodule
