/// Votes: bit e of an output beat is 1 (+1) when sum e of the input beat is not negative.
///
/// Sums are counts less a threshold: with ceil(n / 2) this is the exact majority of n signs, and a tie votes +1. The votes are
/// registered: one cycle from `in` to `out`, a beat a cycle.
module majority_vote #(
    parameter int unsigned Pe        = 1,  // sums a beat
    parameter int unsigned CountBits = 7   // bits of a sum
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,
    input  logic [Pe*CountBits-1:0] in_data_i,    // Pe signed sums
    input  logic                    in_valid_i,
    output logic                    in_ready_o,
    output logic [          Pe-1:0] out_data_o,   // Pe votes
    output logic                    out_valid_o,
    input  logic                    out_ready_i
);
  logic [Pe-1:0] votes;

  for (genvar e = 0; e < Pe; e++) begin : gen_vote
    assign votes[e] = !in_data_i[(e+1)*CountBits-1];
  end

  stream_slice #(
      .Width(Pe)
  ) i_out (
      .clk_i,
      .rst_ni,
      .in_data_i (votes),
      .in_valid_i,
      .in_ready_o,
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );

  logic unused;
  assign unused = &{1'b0, in_data_i};
endmodule
