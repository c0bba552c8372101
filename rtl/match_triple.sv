/// What three pairs of signs have in common: the number of pairs that match is `2 * majority_o + parity_o`. Combinational.
///
/// Each output is a function of six bits, one LUT6. The hierarchy is kept, as a tool that takes the two apart shares the XNORs
/// between them, which costs more.
(* keep_hierarchy = "yes" *)
module match_triple (
    input  logic [2:0] a_i,         // three signs
    input  logic [2:0] b_i,         // those that they are compared with
    output logic       parity_o,    // the number of matches is odd
    output logic       majority_o   // two or three match
);
  logic [2:0] match;

  assign match      = ~(a_i ^ b_i);
  assign parity_o   = ^match;
  assign majority_o = match[0] && match[1] || match[0] && match[2] || match[1] && match[2];
endmodule
