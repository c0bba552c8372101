/// Sums of signs from their counts: `out = 2 * matches - Voters`, signed, for counts of Unit a match. The sums are registered: one
/// cycle from `in` to `out`, a beat a cycle.
module sum #(
    parameter int unsigned Pe        = 1,   // counts a beat
    parameter int unsigned CountBits = 7,   // bits of a count
    parameter int unsigned Voters    = 64,  // signs of a sum, or groups of them
    parameter int unsigned Unit      = 1,   // what a match counts as: 1 or 2
    parameter int unsigned OutBits   = 8    // bits of a sum, which holds -Voters to Voters
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,
    input  logic [Pe*CountBits-1:0] in_data_i,    // Pe unsigned counts
    input  logic                    in_valid_i,
    output logic                    in_ready_o,
    output logic [  Pe*OutBits-1:0] out_data_o,   // Pe signed sums
    output logic                    out_valid_o,
    input  logic                    out_ready_i
);
  // synthesis translate_off
  initial if (Voters >= 2 ** (OutBits - 1))
    $fatal(1, "sum: sums of %0d signs do not fit %0d bits", Voters, OutBits);
  // synthesis translate_on

  localparam int unsigned Scale = 2 / Unit;

  logic [Pe*OutBits-1:0] sums;

  for (genvar e = 0; e < Pe; e++) begin : gen_sum
    assign sums[e*OutBits+:OutBits] = OutBits'(Scale) * OutBits'(in_data_i[e*CountBits+:CountBits]) - OutBits'(Voters);
  end

  stream_slice #(
      .Width(Pe * OutBits)
  ) i_out (
      .clk_i,
      .rst_ni,
      .in_data_i (sums),
      .in_valid_i,
      .in_ready_o,
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );
endmodule
