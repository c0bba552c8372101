/// Counts the ones of a word: `count_o = popcount(bits_i)`. Combinational.
module popcount #(
    parameter  int unsigned Bits      = 64,               // bits of the word, at most 255
    localparam int unsigned CountBits = $clog2(Bits + 1)
) (
    input  logic [     Bits-1:0] bits_i,  // the word
    output logic [CountBits-1:0] count_o  // 0 to Bits
);
  // synthesis translate_off
  initial if (Bits > 255) $fatal(1, "popcount: Bits is %0d, must be at most 255", Bits);
  // synthesis translate_on

  compressor_tree #(
      .Counts (80'(Bits)),
      .SumBits(CountBits)
  ) i_tree (
      .clk_i   (1'b0),
      .enable_i(1'b0),
      .bits_i,
      .sum_o   (count_o)
  );
endmodule
