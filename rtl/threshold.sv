/// Votes with a threshold per channel: bit e of an output beat is 1 (+1) when count e of the input beat is its threshold or more.
/// The votes are registered: one cycle from `in` to `out`, a beat a cycle.
module threshold #(
    parameter int unsigned Pe            = 1,  // counts a beat
    parameter int unsigned CountBits     = 7,  // bits of a count
    parameter int unsigned Words         = 1,  // groups of Pe channels
    parameter int unsigned Beats         = 1,  // beats of a group that follow each other: 1 in pixel order
    parameter              ThresholdFile = ""  // Words words of Pe unsigned thresholds of CountBits + 1: 2**CountBits is never reached
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,       // back to the first channels
    input  logic [Pe*CountBits-1:0] in_data_i,    // Pe unsigned counts
    input  logic                    in_valid_i,
    output logic                    in_ready_o,
    output logic [          Pe-1:0] out_data_o,   // Pe votes
    output logic                    out_valid_o,
    input  logic                    out_ready_i
);
  localparam int unsigned ThresholdBits = CountBits + 1;

  logic [Pe*ThresholdBits-1:0] thresholds;
  logic [Pe-1:0] votes;

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
    assign votes[e] = {1'b0, in_data_i[e*CountBits+:CountBits]} >= thresholds[e*ThresholdBits+:ThresholdBits];
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
endmodule
