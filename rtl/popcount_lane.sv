/// One output of a binary engine: counts a beat's matches, and adds them to what its window has so far.
///
/// The count of a beat is registered under `enable_i`. The state is kept by the engine (in a register, or in a memory with a word per
/// pixel): `state_o` is `state_i` with the registered count, and its low SumBits are the sum at the window's last beat.
///
/// What is counted:
///   Group = 0           matches. Masked: 2 a match, and Simd a masked beat (half of its signs), so that the count - Inputs is
///                       exactly the sum of the signs inside the map
///   Group divides Simd  votes of groups of Group neighbouring signs: +1 when the sum of a group is GroupThreshold or more
///   Simd divides Group  the same, with groups of several beats; the last group of a window may be shorter
module popcount_lane #(
    parameter int unsigned Inputs         = 576,  // signs a window
    parameter int unsigned Simd           = 32,   // signs a beat
    parameter int unsigned Group          = 0,    // signs a group; 0: no groups
    parameter int          GroupThreshold = 0,    // the least sum of a group that votes +1
    parameter int unsigned Masked         = 0,    // 1: beats may be masked; only without groups
    parameter int unsigned SumBits        = 10,   // of a window's count
    parameter int unsigned StateBits      = 10    // SumBits, and if a group spans beats the bits of its matches
) (
    input  logic                 clk_i,
    input  logic                 enable_i,       // loads the count of the beat
    input  logic [     Simd-1:0] matches_i,      // the beat, 1 is a match
    input  logic                 masked_i,       // it lies outside the map
    input  logic                 first_i,        // the registered count is of the window's first beat
    input  logic                 last_i,         // ... of its last beat
    input  logic                 group_first_i,  // ... of the first beat of a group: 1 where no group spans beats (group_beats)
    input  logic                 group_last_i,   // ... of the last one, likewise
    input  logic [StateBits-1:0] state_i,        // before the registered count
    output logic [StateBits-1:0] state_o         // with it
);

  localparam int unsigned Unit      = Masked != 0 ? 2 : 1;                 // of a match
  localparam logic        Grouped   = Group != 0 && Group <= Simd;         // a beat holds whole groups
  localparam int unsigned Votes     = Simd / (Group == 0 ? Simd : Group);  // of a beat
  localparam int unsigned CountBits = $clog2((Grouped ? Votes : Unit * Simd) + 1);

  // synthesis translate_off
  initial if (Group != 0 && (GroupThreshold > int'(Group) || GroupThreshold <= -int'(Group)))
    $fatal(1, "popcount_lane: with GroupThreshold %0d all groups of %0d vote the same", GroupThreshold, Group);
  // synthesis translate_on

  // The fewest matches of a group of `size` signs that votes +1.
  function automatic int unsigned least(input int size);
    least = size + GroupThreshold < 0 ? 0 : (size + GroupThreshold + 1) / 2;
  endfunction

  logic [CountBits-1:0] count_d, count_q;

  always_ff @(posedge clk_i) if (enable_i) count_q <= count_d;

  if (Grouped) begin : gen_votes
    logic [Votes-1:0] votes;
    group_vote #(
        .Bits (Simd),
        .Group(Group),
        .Least(least(Group))
    ) i_votes (
        .matches_i,
        .votes_o(votes)
    );

    popcount #(
        .Bits(Votes)
    ) i_popcount (
        .bits_i (votes),
        .count_o(count_d)
    );
  end else begin : gen_matches
    logic [$clog2(Simd+1)-1:0] count;
    popcount #(
        .Bits(Simd)
    ) i_popcount (
        .bits_i (matches_i),
        .count_o(count)
    );
    if (Masked != 0) begin : gen_masked
      assign count_d = masked_i ? CountBits'(Simd) : {count, 1'b0};
    end else begin : gen_all
      assign count_d = count;
    end
  end

  if (Group > Simd) begin : gen_group_sum
    localparam int unsigned GroupBits = StateBits - SumBits;
    localparam int unsigned Short     = Inputs % Group;  // signs of a short last group
    localparam int unsigned Least     = least(Group);
    localparam int unsigned LeastLast = least(Short == 0 ? Group : Short);

    logic [GroupBits-1:0] group;
    logic [  SumBits-1:0] votes;
    logic                 vote;

    assign group   = (group_first_i ? GroupBits'(0) : state_i[StateBits-1:SumBits]) + GroupBits'(count_q);
    assign vote    = group_last_i && group >= (last_i ? GroupBits'(LeastLast) : GroupBits'(Least));
    assign votes   = (first_i ? SumBits'(0) : state_i[SumBits-1:0]) + SumBits'(vote);
    assign state_o = {group, votes};
  end else begin : gen_sum
    assign state_o = (first_i ? StateBits'(0) : state_i) + StateBits'(count_q);
  end

  logic unused;
  assign unused = &{1'b0, masked_i, last_i, group_first_i, group_last_i};

endmodule
