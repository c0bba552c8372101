/// rtl/width_converter.sv with as many elements out as in: a wire.
module wire_proof #(
    parameter int unsigned Width = 4  // bits of a beat
) (
    input logic             clk_i,
    input logic             rst_ni,
    input logic [Width-1:0] in_data,
    input logic             in_valid,
    input logic             out_ready
);
  logic [Width-1:0] out_data;
  logic in_ready, out_valid;

  width_converter #(.InElements(Width), .OutElements(Width), .Bits(1)) dut (
      .clk_i, .rst_ni,
      .in_data_i(in_data), .in_valid_i(in_valid), .in_ready_o(in_ready),
      .out_data_o(out_data), .out_valid_o(out_valid), .out_ready_i(out_ready)
  );

  always_comb assert (out_data == in_data && out_valid == in_valid && in_ready == out_ready);
endmodule
