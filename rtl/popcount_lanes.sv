/// The lanes of a binary engine: a beat of its window against the weights of Pe outputs (popcount_lane says what is counted).
///
/// The counts of a beat are there two cycles after it, under enable_i. The engine keeps the states, in a register or in a memory with a
/// word per pixel: state_o is state_i with the counts. The low Pe*SumBits bits of a state are the sums, which begin a window as the
/// engine likes; above them are the matches of groups that span beats, which may begin as anything. The last group of a window may be
/// shorter than the others.
module popcount_lanes #(
    parameter int unsigned Inputs         = 576,  // signs a window
    parameter int unsigned Pe             = 1,    // outputs at a time
    parameter int unsigned Simd           = 32,   // signs a beat
    parameter int unsigned Group          = 0,    // signs a group; 0: no groups
    parameter int          GroupThreshold = 0,    // the least sum of a group that votes +1
    parameter int unsigned Masked         = 0,    // 1: beats may be masked; only without groups
    parameter int unsigned SumBits        = 10,   // of a window's sum
    parameter int unsigned StateBits      = 10    // of a lane: SumBits, and if a group spans beats the bits of its matches
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,        // the next counts begin a group
    input  logic                    enable_i,      // moves the counts of beats
    input  logic [        Simd-1:0] signs_i,       // the beat
    input  logic                    masked_i,      // it lies outside the map
    input  logic [     Pe*Simd-1:0] weights_i,     // of Pe outputs, Simd bits each
    input  logic                    last_i,        // the counts are of the window's last beat
    input  logic                    group_step_i,  // those of its next beat come (weight_stationary: of all pixels)
    input  logic [Pe*StateBits-1:0] state_i,       // before this beat
    output logic [Pe*StateBits-1:0] state_o        // with it
);
  localparam int unsigned GroupSize  = Group == 0 ? 1 : Group;
  localparam int unsigned GroupBeats = Group > Simd ? Group / Simd : 1;
  localparam int unsigned GroupBits  = StateBits - SumBits;  // of a group's matches
  localparam int unsigned Short      = Inputs % GroupSize;   // signs of a short last group
  localparam int unsigned Least      = least(GroupSize);
  localparam int unsigned LeastLast  = least(Short == 0 ? GroupSize : Short);
  localparam int unsigned CountBits  =
      $clog2((Group != 0 && Group <= Simd ? Simd / GroupSize : (Masked != 0 ? 2 : 1) * Simd) + 1);

  // synthesis translate_off
  initial begin
    if (Group != 0 && Simd % GroupSize != 0 && Group % Simd != 0)
      $fatal(1, "popcount_lanes: Group %0d is neither a multiple of Simd %0d nor does it divide it", Group, Simd);
    if (Group != 0 && Masked != 0) $fatal(1, "popcount_lanes: a group outside the map has no majority: pad with -1 or +1");
    if (Group != 0 && (GroupThreshold > int'(Group) || GroupThreshold <= -int'(Group)))
      $fatal(1, "popcount_lanes: with GroupThreshold %0d all groups of %0d vote the same", GroupThreshold, Group);
  end
  // synthesis translate_on

  // The fewest matches of a group of `size` signs that votes +1.
  function automatic int unsigned least(input int unsigned size);
    least = int'(size) + GroupThreshold < 0 ? 0 : 32'((int'(size) + GroupThreshold + 1) / 2);
  endfunction

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
    logic [CountBits-1:0] count;
    logic [  SumBits-1:0] sum;

    popcount_lane #(
        .Simd  (Simd),
        .Group (Group),
        .Least (Least),
        .Masked(Masked)
    ) i_lane (
        .clk_i,
        .enable_i,
        .signs_i,
        .weights_i(weights_i[e*Simd+:Simd]),
        .masked_i,
        .count_o  (count)
    );

    assign sum = state_i[e*SumBits+:SumBits];
    if (GroupBits != 0) begin : gen_group
      logic [GroupBits-1:0] group;
      logic vote;

      assign group = (group_first ? GroupBits'(0) : state_i[Pe*SumBits+e*GroupBits+:GroupBits]) + GroupBits'(count);
      assign vote  = group_last && group >= (last_i ? GroupBits'(LeastLast) : GroupBits'(Least));
      assign state_o[e*SumBits+:SumBits]                = sum + SumBits'(vote);
      assign state_o[Pe*SumBits+e*GroupBits+:GroupBits] = group;
    end else begin : gen_count
      assign state_o[e*SumBits+:SumBits] = sum + SumBits'(count);
    end
  end

  logic unused;
  assign unused = &{1'b0, group_first, group_last};
endmodule
