/// Adds five bits of one weight and one of the next: `ones_i + 2 * two_i` as three bits. Combinational.
///
/// As one addition on a carry chain: three ones are a parity and a majority, which LUTs find; the fourth one and the two are the other
/// operand, the fifth one comes in as a carry. So it takes two LUTs, and the fifth one is the one that may come last. The hierarchy is
/// kept, as the order of the operands (which of them goes through the LUTs) would else be lost.
(* keep_hierarchy = "yes" *)
module compressor (
    input  logic [4:0] ones_i,  // five bits of a weight
    input  logic       two_i,   // a bit of twice that weight
    output logic [2:0] sum_o    // their sum in units of the lower weight
);
  logic parity, majority;
  logic [3:0] total;

  assign parity   = ^ones_i[2:0];
  assign majority = ones_i[0] && ones_i[1] || ones_i[0] && ones_i[2] || ones_i[1] && ones_i[2];
  assign total    = {1'b0, two_i, ones_i[3], ones_i[4]} + {1'b0, majority, parity, ones_i[4]};
  assign sum_o    = total[3:1];

  logic unused;
  assign unused = total[0];
endmodule
