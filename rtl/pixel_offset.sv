/// Turns unsigned pixels into signed ones: out = in - 128, uint8 to int8. The top bit flips; there is no register.
module pixel_offset #(
    parameter int unsigned P = 8  // pixels a beat
) (
    input  logic           clk_i,        // not used: every node has the same ports
    input  logic           rst_ni,       // not used
    input  logic [P*8-1:0] in_data_i,    // P pixels, 0 to 255
    input  logic           in_valid_i,
    output logic           in_ready_o,
    output logic [P*8-1:0] out_data_o,   // P pixels, -128 to 127
    output logic           out_valid_o,
    input  logic           out_ready_i
);
  logic unused;
  assign unused = clk_i & rst_ni;

  assign out_data_o  = in_data_i ^ {P{8'h80}};
  assign out_valid_o = in_valid_i;
  assign in_ready_o  = out_ready_i;
endmodule
