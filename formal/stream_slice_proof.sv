/// rtl/stream_slice.sv: two registers, of which the spare one is full only behind the other.
module stream_slice_proof #(
    parameter int unsigned Width = 8  // bits of a beat
) (
    input logic             clk_i,
    input logic             rst_ni,
    input logic [Width-1:0] in_data,
    input logic             in_valid,
    input logic             out_ready
);
  logic [Width-1:0] out_data, element;
  logic [5:0] held, position;
  logic started, in_ready, out_valid;

  wire spare_valid_q;
  wire [Width-1:0] spare_q;

  stream_slice #(.Width(Width)) dut (
      .clk_i, .rst_ni,
      .in_data_i(in_data), .in_valid_i(in_valid), .in_ready_o(in_ready),
      .out_data_o(out_data), .out_valid_o(out_valid), .out_ready_i(out_ready)
  );
  reset i_reset (.clk_i, .rst_ni, .started_o(started));
  stream_assume #(.Width(Width)) i_in (.clk_i, .rst_ni, .data_i(in_data), .valid_i(in_valid), .ready_i(in_ready));
  stream_prove #(.Width(Width)) i_out (.clk_i, .rst_ni, .data_i(out_data), .valid_i(out_valid), .ready_i(out_ready));
  order #(.Bits(Width)) i_order (
      .clk_i, .rst_ni,
      .in_data_i(in_data), .in_taken_i(in_valid && in_ready), .out_data_i(out_data), .out_taken_i(out_valid && out_ready),
      .held_o(held), .position_o(position), .element_o(element)
  );
  progress #(.InWait(1)) i_progress (.clk_i, .rst_ni, .complete_i(held != 0), .in_ready_i(in_ready), .out_valid_i(out_valid), .out_ready_i(out_ready));

  always_comb begin
    if (started) begin
      assert (held == 6'(out_valid) + 6'(spare_valid_q));
      if (spare_valid_q) assert (out_valid);
      if (out_valid && position == 0) assert (out_data == element);
      if (spare_valid_q && position == 1) assert (spare_q == element);
    end
  end
endmodule
