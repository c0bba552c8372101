/// A product of two signed numbers, registered: a multiplier of a DSP slice and its register.
///
/// Where one of them has two bits, -2 to 1, the other is added once and subtracted twice instead, by LUTs on one carry chain. Products
/// of up to eight bits are multiplied by LUTs (26 for 4x4), as Yosys does by itself.
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
  localparam int unsigned Bits = ABits + BBits;

  if (ABits == 2 || BBits == 2) begin : gen_row
    logic [1:0] factor;
    logic signed [Bits-3:0] number;
    logic signed [Bits-1:0] once, twice, product_q;

    assign {factor, number} = BBits == 2 ? {b_i, a_i} : {a_i, b_i};
    assign once             = factor[0] ? Bits'(number) : Bits'(0);
    assign twice            = factor[1] ? Bits'(number) <<< 1 : Bits'(0);
    always_ff @(posedge clk_i) if (enable_i) product_q <= once - twice;
    assign product_o = product_q;
  end else if (Bits <= 8) begin : gen_luts
    (* use_dsp = "no" *) logic signed [Bits-1:0] product_q;

    always_ff @(posedge clk_i) if (enable_i) product_q <= $signed(a_i) * $signed(b_i);
    assign product_o = product_q;
  end else begin : gen_slice
    logic signed [Bits-1:0] product_q;

    always_ff @(posedge clk_i) if (enable_i) product_q <= $signed(a_i) * $signed(b_i);
    assign product_o = product_q;
  end
endmodule
