/// Votes: bit e of an output beat is 1 (+1) when count e of the input beat is Threshold or more.
///
/// With Threshold = ceil(n / 2) this is the exact majority of n signs, and a tie votes +1. The votes are registered: one cycle from
/// `in` to `out`, a beat a cycle.
module majority_vote #(
    parameter int unsigned Pe        = 1,  // counts a beat
    parameter int unsigned CountBits = 7,  // bits of a count
    parameter int unsigned Threshold = 32  // the least count that votes +1, 1 to 2**CountBits - 1
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,
    input  logic [Pe*CountBits-1:0] in_data_i,    // Pe unsigned counts
    input  logic                    in_valid_i,
    output logic                    in_ready_o,
    output logic [          Pe-1:0] out_data_o,   // Pe votes
    output logic                    out_valid_o,
    input  logic                    out_ready_i
);
  // synthesis translate_off
  initial if (Threshold < 1 || Threshold >= 2 ** CountBits)
    $fatal(1, "majority_vote: Threshold %0d is not within 1 and 2**CountBits - 1 (CountBits %0d)", Threshold, CountBits);
  // synthesis translate_on

  logic [Pe-1:0] votes;

  for (genvar e = 0; e < Pe; e++) begin : gen_vote
    assign votes[e] = in_data_i[e*CountBits+:CountBits] >= CountBits'(Threshold);
  end

  stream_register #(
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
endmodule
