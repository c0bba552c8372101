/// Sums of signs from their counts: `out = 2 * matches - Voters`, signed, for counts of Unit a match. The sums are registered: one
/// cycle from `in` to `out`, a beat a cycle.
///
/// Ports: stream `in` (Pe unsigned counts of CountBits), stream `out` (Pe signed sums of OutBits).
module sum #(
    parameter int unsigned Pe        = 1,   // counts a beat
    parameter int unsigned CountBits = 7,   // width of a count
    parameter int unsigned Voters    = 64,  // signs of a sum, or groups of them
    parameter int unsigned Unit      = 1,   // what a match counts as: 1 or 2
    parameter int unsigned OutBits   = 8    // width of a sum, which holds -Voters to Voters
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,
    input  logic [Pe*CountBits-1:0] in_data_i,
    input  logic                    in_valid_i,
    output logic                    in_ready_o,
    output logic [  Pe*OutBits-1:0] out_data_o,
    output logic                    out_valid_o,
    input  logic                    out_ready_i
);

  // synthesis translate_off
  initial if (Voters >= 2 ** (OutBits - 1))
    $fatal(1, "sum: sums of %0d signs do not fit %0d bits", Voters, OutBits);
  // synthesis translate_on

  localparam int unsigned Scale = 2 / Unit;

  logic [Pe*OutBits-1:0] sum_d, sum_q;
  logic                  valid_q;

  for (genvar e = 0; e < Pe; e++) begin : gen_sum
    assign sum_d[e*OutBits+:OutBits] = OutBits'(Scale) * OutBits'(in_data_i[e*CountBits+:CountBits]) - OutBits'(Voters);
  end

  assign in_ready_o  = !valid_q || out_ready_i;
  assign out_data_o  = sum_q;
  assign out_valid_o = valid_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else if (in_ready_o) valid_q <= in_valid_i;
    if (in_ready_o) sum_q <= sum_d;
  end

endmodule
