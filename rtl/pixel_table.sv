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
    output logic [P*Bits-1:0] out_data_o,
    output logic              out_valid_o,
    input  logic              out_ready_i
);
  logic valid_q;

  assign in_ready_o  = !valid_q || out_ready_i;
  assign out_valid_o = valid_q;

  // In LUTs: a block RAM would serve two of the P pixels only.
  (* rom_style = "distributed" *) logic [Bits-1:0] values[256];
  initial $readmemh(TableFile, values);

  for (genvar i = 0; i < P; i++) begin : gen_pixel
    logic [Bits-1:0] value_q;
    always_ff @(posedge clk_i) if (in_ready_o) value_q <= values[in_data_i[i*8+:8]];
    assign out_data_o[i*Bits+:Bits] = value_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else if (in_ready_o) valid_q <= in_valid_i;
  end
endmodule
