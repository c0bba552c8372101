/// Counts the ones of a word: `count_o = popcount(bits_i)`. Combinational.
module popcount #(
    parameter  int unsigned Bits      = 64,               // bits of the word
    localparam int unsigned CountBits = $clog2(Bits + 1)
) (
    input  logic [     Bits-1:0] bits_i,  // the word
    output logic [CountBits-1:0] count_o  // 0 to Bits
);
  assign count_o = CountBits'($countones(bits_i));
endmodule
