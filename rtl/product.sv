/// A product of two signed numbers, registered: a multiplier of a DSP slice and its register.
///
/// The hierarchy is kept, as tools else put the sum of several products into their slices, where one waits for the other in one cycle.
(* keep_hierarchy = "yes" *)
module product #(
    parameter int unsigned ABits = 8,  // bits of one
    parameter int unsigned BBits = 8   // bits of the other
) (
    input  logic                   clk_i,
    input  logic                   enable_i,  // loads the product
    input  logic [      ABits-1:0] a_i,       // signed
    input  logic [      BBits-1:0] b_i,       // signed
    output logic [ABits+BBits-1:0] product_o  // a * b, signed
);
  logic signed [ABits+BBits-1:0] product_q;

  always_ff @(posedge clk_i) if (enable_i) product_q <= $signed(a_i) * $signed(b_i);
  assign product_o = product_q;
endmodule
