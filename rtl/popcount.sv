/// Counts the ones of a word: `count_o = popcount(bits_i)`. Combinational.
///
/// Ports: `bits_i` the word, `count_o` its number of ones, 0 to Bits.
module popcount #(
    parameter  int unsigned Bits      = 64,               // width of the word
    localparam int unsigned CountBits = $clog2(Bits + 1)
) (
    input  logic [     Bits-1:0] bits_i,
    output logic [CountBits-1:0] count_o
);

  assign count_o = CountBits'($countones(bits_i));

endmodule
