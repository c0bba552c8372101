/// rtl/width_converter.sv. The runner connects the undriven wires to what they are named after inside.
module width_converter_proof #(
    parameter  int unsigned InElements  = 1,                                                       // elements of an input beat
    parameter  int unsigned OutElements = 3,                                                       // elements of an output beat
    parameter  int unsigned Bits        = 2,                                                       // bits of an element
    localparam int unsigned InWidth     = InElements * Bits,
    localparam int unsigned OutWidth    = OutElements * Bits,
    localparam int unsigned Wide        = InWidth > OutWidth ? InWidth : OutWidth,
    localparam int unsigned Narrow      = InWidth > OutWidth ? OutWidth : InWidth,
    localparam int unsigned Parts       = Wide / Narrow
) (
    input logic               clk_i,
    input logic               rst_ni,
    input logic [InWidth-1:0] in_data,
    input logic               in_valid,
    input logic               out_ready
);
  localparam bit Collects = InWidth < OutWidth;

  logic [OutWidth-1:0] out_data;
  logic [Narrow-1:0] element;  // a part: the narrower beat
  logic [5:0] held, position;
  logic started, in_ready, out_valid;

  // Of a converter that collects, and of one that splits.
  wire [$clog2(Parts)-1:0] unused_count, left_q;
  wire full_q, valid_q, last_q;
  wire [Wide-1:0] word_q;

  width_converter #(.InElements(InElements), .OutElements(OutElements), .Bits(Bits)) dut (
      .clk_i, .rst_ni,
      .in_data_i(in_data), .in_valid_i(in_valid), .in_ready_o(in_ready),
      .out_data_o(out_data), .out_valid_o(out_valid), .out_ready_i(out_ready)
  );
  reset i_reset (.clk_i, .rst_ni, .started_o(started));
  stream_assume #(.Width(InWidth)) i_in (.clk_i, .rst_ni, .data_i(in_data), .valid_i(in_valid), .ready_i(in_ready));
  stream_prove #(.Width(OutWidth)) i_out (.clk_i, .rst_ni, .data_i(out_data), .valid_i(out_valid), .ready_i(out_ready));
  order #(.InElements(InWidth / Narrow), .OutElements(OutWidth / Narrow), .Bits(Narrow)) i_order (
      .clk_i, .rst_ni,
      .in_data_i(in_data), .in_taken_i(in_valid && in_ready), .out_data_i(out_data), .out_taken_i(out_valid && out_ready),
      .held_o(held), .position_o(position), .element_o(element)
  );
  // A word goes out in Parts beats, and the next one comes in with the last.
  progress #(.InWait(Collects ? 0 : Parts - 1)) i_progress (
      .clk_i, .rst_ni,
      .complete_i(held >= OutWidth / Narrow), .in_ready_i(in_ready), .out_valid_i(out_valid), .out_ready_i(out_ready)
  );

  logic [5:0] parts, lane;  // in the word; of the followed part
  assign parts = Collects ? (full_q ? 6'(Parts) : 6'(unused_count)) : (valid_q ? 6'(left_q) + 6'd1 : 6'd0);
  assign lane  = Collects ? 6'(Parts) - parts + position : position;

  always_comb begin
    if (started) begin
      assert (parts <= Parts);
      assert (held == parts);
      assert (!Collects || unused_count < Parts);
      assert (!Collects || !full_q || unused_count == 0);
      assert (Collects || !valid_q || left_q < Parts);
      assert (Collects || !valid_q || last_q == (left_q == 0));
      if (position < held) assert (word_q[lane*Narrow+:Narrow] == element);
    end
  end
endmodule
