/// The products of a beat of an integer engine with the weights of one output, and their sum, under enable_i.
///
/// Numbers of one bit are -1 and +1 (0 and 1), others are signed. Where inputs or weights have one bit the others are added or
/// subtracted: see add_subtract for the constant by which the sum is then larger. Else there are multipliers (product, product_sum).
/// It takes 1 + Ranks cycles: two, or three where more than eight products are added.
module dot_product #(
    parameter  int unsigned Simd       = 4,                                 // products a beat
    parameter  int unsigned InBits     = 8,                                 // of an input
    parameter  int unsigned WeightBits = 8,                                 // of a weight
    parameter  int unsigned Corrected  = 0,                                 // see add_subtract
    parameter  int unsigned Masked     = 0,                                 // 1: beats may be masked; only of inputs of one bit
    localparam logic        Signs      = InBits == 1 || WeightBits == 1,
    localparam int unsigned Bits       = InBits == 1 ? WeightBits : InBits,  // of the numbers that signs multiply
    localparam int unsigned CountBits  = Bits + $clog2(Simd + 1),           // of what add_subtract gives
    localparam int unsigned SumBits    = Signs ? CountBits + 1 : InBits + WeightBits + $clog2(Simd)
) (
    input  logic                       clk_i,
    input  logic                       enable_i,   // moves the registers
    input  logic [    Simd*InBits-1:0] inputs_i,   // the beat
    input  logic [Simd*WeightBits-1:0] weights_i,  // its weights
    input  logic                       masked_i,   // all its inputs are 0
    output logic [        SumBits-1:0] sum_o       // signed
);
  // synthesis translate_off
  initial begin
    if (InBits == 1 && WeightBits == 1) $fatal(1, "dot_product: inputs and weights of one bit: use xnor_popcount");
    if (Masked > 1) $fatal(1, "dot_product: Masked is %0d, must be 0 or 1", Masked);
    if (Masked != 0 && InBits != 1) $fatal(1, "dot_product: Masked is for inputs of one bit, not of %0d", InBits);
  end
  // synthesis translate_on

  if (Signs) begin : gen_signs
    logic [Simd*Bits-1:0] numbers;
    logic [     Simd-1:0] add;
    logic [CountBits-1:0] sum;

    if (InBits == 1) begin : gen_weights
      assign numbers = weights_i;
      assign add     = inputs_i;
    end else begin : gen_inputs
      assign numbers = inputs_i;
      assign add     = weights_i;
    end

    add_subtract #(
        .Numbers  (Simd),
        .Bits     (Bits),
        .Corrected(Corrected),
        .Masked   (Masked)
    ) i_sum (
        .clk_i,
        .enable_i,
        .numbers_i(numbers),
        .add_i    (add),
        .masked_i,
        .sum_o    (sum)
    );
    assign sum_o = {1'b0, sum};
  end else begin : gen_products
    localparam int unsigned ProductBits = InBits + WeightBits;

    logic [Simd*ProductBits-1:0] products;

    for (genvar i = 0; i < Simd; i++) begin : gen_product
      product #(
          .ABits(InBits),
          .BBits(WeightBits)
      ) i_product (
          .clk_i,
          .enable_i,
          .a_i      (inputs_i[i*InBits+:InBits]),
          .b_i      (weights_i[i*WeightBits+:WeightBits]),
          .product_o(products[i*ProductBits+:ProductBits])
      );
    end

    product_sum #(
        .Products(Simd),
        .Bits    (ProductBits),
        .SumBits (SumBits),
        .Ranks   (Simd > 8 ? 2 : 1)
    ) i_sum (
        .clk_i,
        .enable_i,
        .products_i(products),
        .sum_o
    );

    logic unused;
    assign unused = &{1'b0, masked_i};
  end
endmodule
