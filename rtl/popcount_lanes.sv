/// The lanes of a binary engine: a beat of its window against the weights of Pe outputs (popcount_lane says what is counted).
///
/// The counts of a beat are registered under enable_i. The engine keeps the states, in a register or in a memory with a word per
/// pixel: state_o is state_i with the registered counts. The low Pe*SumBits bits of a state are the sums, exact at the window's
/// last beat; above them are the matches of groups that span beats.
module popcount_lanes #(
    parameter int unsigned Inputs         = 576,  // signs a window
    parameter int unsigned Pe             = 1,    // outputs at a time
    parameter int unsigned Simd           = 32,   // signs a beat
    parameter int unsigned Group          = 0,    // signs a group; 0: no groups
    parameter int          GroupThreshold = 0,    // the least sum of a group that votes +1
    parameter int unsigned Masked         = 0,    // 1: beats may be masked; only without groups
    parameter int unsigned SumBits        = 10,   // of a window's count
    parameter int unsigned StateBits      = 10    // of a lane: SumBits, and if a group spans beats the bits of its matches
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,        // the next beat begins a group
    input  logic                    enable_i,      // loads the counts of the beat
    input  logic [        Simd-1:0] signs_i,       // the beat
    input  logic                    masked_i,      // it lies outside the map
    input  logic [     Pe*Simd-1:0] weights_i,     // of Pe outputs, Simd bits each
    input  logic                    first_i,       // the registered counts are of the window's first beat
    input  logic                    last_i,        // ... of its last beat
    input  logic                    group_step_i,  // the window's next beat comes (weight_stationary: of all pixels)
    input  logic [Pe*StateBits-1:0] state_i,       // before this beat
    output logic [Pe*StateBits-1:0] state_o        // with it
);
  localparam int unsigned GroupSize  = Group == 0 ? 1 : Group;
  localparam int unsigned GroupBeats = Group > Simd ? Group / Simd : 1;
  localparam int unsigned GroupBits  = StateBits - SumBits;  // of a group's matches

  // synthesis translate_off
  initial begin
    if (Group != 0 && Simd % GroupSize != 0 && Group % Simd != 0)
      $fatal(1, "popcount_lanes: Group %0d is neither a multiple of Simd %0d nor does it divide it", Group, Simd);
    if (Group != 0 && Masked != 0) $fatal(1, "popcount_lanes: a group outside the map has no majority: pad with -1 or +1");
  end
  // synthesis translate_on

  logic group_first, group_last;

  group_beats #(
      .Beats(GroupBeats)
  ) i_group (
      .clk_i,
      .rst_ni,
      .step_i (group_step_i),
      .last_i,
      .first_o(group_first),
      .last_o (group_last)
  );

  for (genvar e = 0; e < Pe; e++) begin : gen_lane
    logic [StateBits-1:0] old_state, new_state;

    assign old_state[SumBits-1:0]         = state_i[e*SumBits+:SumBits];
    assign state_o[e*SumBits+:SumBits] = new_state[SumBits-1:0];
    if (GroupBits != 0) begin : gen_group
      assign old_state[StateBits-1:SumBits]                = state_i[Pe*SumBits+e*GroupBits+:GroupBits];
      assign state_o[Pe*SumBits+e*GroupBits+:GroupBits] = new_state[StateBits-1:SumBits];
    end

    popcount_lane #(
        .Inputs        (Inputs),
        .Simd          (Simd),
        .Group         (Group),
        .GroupThreshold(GroupThreshold),
        .Masked        (Masked),
        .SumBits       (SumBits),
        .StateBits     (StateBits)
    ) i_lane (
        .clk_i,
        .enable_i,
        .matches_i    (~(signs_i ^ weights_i[e*Simd+:Simd])),
        .masked_i,
        .first_i,
        .last_i,
        .group_first_i(group_first),
        .group_last_i (group_last),
        .state_i      (old_state),
        .state_o      (new_state)
    );
  end
endmodule
