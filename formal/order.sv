/// Proves that a module keeps the order and the number of its elements, by following one of them, whichever: it counts the
/// elements that go in and come out, remembers the one with the chosen number, and compares it where that number comes out.
///
/// Counts are modulo 2**CountBits, so the numbers come again and again and the proof has no end; the module must hold fewer than
/// that. To prove it by induction the harness says where in the module `element_o` lies, given `held_o` and `position_o`.
module order #(
    parameter int unsigned InElements  = 1,  // elements of an input beat
    parameter int unsigned OutElements = 1,  // elements of an output beat
    parameter int unsigned Bits        = 8,  // bits of an element
    parameter int unsigned CountBits   = 6   // of the counts
) (
    input  logic                        clk_i,
    input  logic                        rst_ni,
    input  logic [ InElements*Bits-1:0] in_data_i,
    input  logic                        in_taken_i,   // a beat goes in
    input  logic [OutElements*Bits-1:0] out_data_i,
    input  logic                        out_taken_i,  // a beat comes out
    output logic [       CountBits-1:0] held_o,       // elements inside
    output logic [       CountBits-1:0] position_o,   // elements that come out before the followed one; held_o or more: it is not inside
    output logic [            Bits-1:0] element_o     // the followed one, since it went in
);
  (* anyconst *) logic [CountBits-1:0] number;
  logic [CountBits-1:0] in_count_q, out_count_q, offset;
  logic [Bits-1:0] element_q;

  assign offset     = number - in_count_q;
  assign held_o     = in_count_q - out_count_q;
  assign position_o = number - out_count_q;
  assign element_o  = element_q;

  always_ff @(posedge clk_i) begin
    if (in_taken_i && offset < InElements) element_q <= in_data_i[offset*Bits+:Bits];
    if (!rst_ni) begin
      in_count_q  <= '0;
      out_count_q <= '0;
    end else begin
      if (in_taken_i) in_count_q <= in_count_q + CountBits'(InElements);
      if (out_taken_i) out_count_q <= out_count_q + CountBits'(OutElements);
    end
  end

  always_comb begin
    if (rst_ni && out_taken_i) begin
      assert (held_o >= OutElements);
      if (position_o < OutElements) assert (out_data_i[position_o*Bits+:Bits] == element_q);
    end
  end
endmodule
