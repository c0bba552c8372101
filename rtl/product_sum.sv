/// The sum of signed products, Ranks cycles later under enable_i.
///
/// With two ranks eights of them are added first, as the sum of more than eight does not fit a cycle behind a multiplier.
module product_sum #(
    parameter int unsigned Products = 4,   // how many
    parameter int unsigned Bits     = 16,  // of one
    parameter int unsigned SumBits  = 18,  // of the sum
    parameter int unsigned Ranks    = 1    // registers, 1 or 2
) (
    input  logic                       clk_i,
    input  logic                       enable_i,    // moves the registers
    input  logic [Products*Bits-1:0]   products_i,  // signed
    output logic [     SumBits-1:0]    sum_o        // signed
);
  localparam int unsigned Eights = Ranks == 1 ? Products : (Products + 7) / 8;  // terms of the last sum

  // synthesis translate_off
  initial if (Ranks < 1 || Ranks > 2) $fatal(1, "product_sum: Ranks is %0d, must be 1 or 2", Ranks);
  // synthesis translate_on

  logic [Eights*SumBits-1:0] terms;
  logic [       SumBits-1:0] sum_d, sum_q;

  for (genvar t = 0; t < Eights; t++) begin : gen_term
    localparam int unsigned First = Ranks == 1 ? t : 8 * t;
    localparam int unsigned Count = Ranks == 1 ? 1 : Products - First < 8 ? Products - First : 8;

    logic [SumBits-1:0] term;

    always_comb begin
      term = SumBits'(0);
      for (int unsigned i = First; i < First + Count; i++) term = term + SumBits'($signed(products_i[i*Bits+:Bits]));
    end

    if (Ranks == 1) begin : gen_wire
      assign terms[t*SumBits+:SumBits] = term;
    end else begin : gen_rank
      logic [SumBits-1:0] term_q;
      always_ff @(posedge clk_i) if (enable_i) term_q <= term;
      assign terms[t*SumBits+:SumBits] = term_q;
    end
  end

  always_comb begin
    sum_d = SumBits'(0);
    for (int unsigned t = 0; t < Eights; t++) sum_d = sum_d + terms[t*SumBits+:SumBits];
  end

  always_ff @(posedge clk_i) if (enable_i) sum_q <= sum_d;
  assign sum_o = sum_q;
endmodule
