/// Votes with a threshold per channel: bit e of an output beat is 1 (+1) when count e of the input beat is its threshold or more.
///
/// The votes are registered: one cycle from `in` to `out`, a beat a cycle.
///
/// Ports: stream `in` (Pe unsigned counts of CountBits), stream `out` (Pe votes of one bit).
module threshold #(
    parameter int unsigned Pe            = 1,   // counts a beat
    parameter int unsigned CountBits     = 7,   // width of a count
    parameter int unsigned Words         = 1,   // groups of Pe channels
    parameter int unsigned Beats         = 1,   // beats of a group that follow each other: 1 in pixel order
    parameter              ThresholdFile = ""   // Words words of Pe thresholds, unsigned, of CountBits + 1: 2**CountBits is never reached
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,      // back to the first channels
    input  logic [Pe*CountBits-1:0] in_data_i,
    input  logic                    in_valid_i,
    output logic                    in_ready_o,
    output logic [          Pe-1:0] out_data_o,
    output logic                    out_valid_o,
    input  logic                    out_ready_i
);

  localparam int unsigned ThresholdBits = CountBits + 1;

  logic [Pe*ThresholdBits-1:0] thresholds;
  logic [Pe-1:0] vote_d, vote_q;
  logic          valid_q;

  assign in_ready_o  = !valid_q || out_ready_i;
  assign out_data_o  = vote_q;
  assign out_valid_o = valid_q;

  channel_table #(
      .Words      (Words),
      .Width      (Pe * ThresholdBits),
      .File       (ThresholdFile),
      .MemoryStyle("distributed"),
      .Beats      (Beats)
  ) i_thresholds (
      .clk_i,
      .rst_ni,
      .step_i(in_valid_i && in_ready_o),
      .word_o(thresholds)
  );

  for (genvar e = 0; e < Pe; e++) begin : gen_vote
    assign vote_d[e] = {1'b0, in_data_i[e*CountBits+:CountBits]} >= thresholds[e*ThresholdBits+:ThresholdBits];
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else if (in_ready_o) valid_q <= in_valid_i;
    if (in_ready_o) vote_q <= vote_d;
  end

endmodule
