/// The beats of one output of a binary engine: counts what a beat of signs and its weights have in common. Two cycles, under enable_i.
///
/// What is counted:
///   Group = 0           matches. Masked: 2 a match, and Simd a masked beat (half of its signs), so that the count - Inputs is
///                       exactly the sum of the signs inside the map
///   Group divides Simd  votes of groups of Group neighbouring signs: +1 when Least or more of them match
///   Simd divides Group  matches (of a part of a group)
///
/// Pairs are looked at three by three (match_triple): a sum of 22 bits of weight 1 and 21 of weight 2 stands for 64 of them, which a
/// compressor_tree adds, with registers in front of its third stage and at its end. 64 pairs take about 72 LUTs.
///
/// With the macro FLOW_COUNTONES, which simulations of whole accelerators set, a beat's matches are counted by $countones instead, which
/// Verilator runs several times as fast; tests of lanes and engines, and synthesis, take what stands here (tests/rtl/test_popcount_lane.py
/// compares both).
module popcount_lane #(
    parameter  int unsigned Simd      = 32,  // signs a beat, at most 255
    parameter  int unsigned Group     = 0,   // signs a group; 0: no groups
    parameter  int unsigned Least     = 1,   // the fewest matches of a group that votes +1, where Group divides Simd
    parameter  int unsigned Masked    = 0,   // 1: beats may be masked; only without groups
    localparam logic        Grouped   = Group != 0 && Group <= Simd,                              // a beat holds whole groups
    localparam int unsigned Votes     = Grouped ? Simd / Group : 1,                               // of a beat
    localparam int unsigned CountBits = $clog2((Grouped ? Votes : (Masked != 0 ? 2 : 1) * Simd) + 1)
) (
    input  logic                 clk_i,
    input  logic                 enable_i,   // moves both registers
    input  logic [     Simd-1:0] signs_i,    // the beat
    input  logic [     Simd-1:0] weights_i,  // its weights
    input  logic                 masked_i,   // it lies outside the map
    output logic [CountBits-1:0] count_o     // its count, two cycles later
);
  // synthesis translate_off
  initial if (Simd > 255) $fatal(1, "popcount_lane: Simd is %0d, must be at most 255", Simd);
  // synthesis translate_on

  if (Grouped) begin : gen_votes
    logic [    Votes-1:0] votes;
    logic [CountBits-1:0] count, count_q;

    group_vote #(
        .Bits (Simd),
        .Group(Group),
        .Least(Least)
    ) i_votes (
        .matches_i(~(signs_i ^ weights_i)),
        .votes_o  (votes)
    );

`ifdef FLOW_COUNTONES
    always_ff @(posedge clk_i) if (enable_i) count <= CountBits'($countones(votes));
`else
    compressor_tree #(
        .Counts   (80'(Votes)),
        .RankAfter(Group > 5 ? 0 : 2),  // votes that are counted themselves take a cycle
        .SumBits  (CountBits)
    ) i_tree (
        .clk_i,
        .enable_i,
        .bits_i(votes),
        .sum_o (count)
    );
`endif

    always_ff @(posedge clk_i) if (enable_i) count_q <= count;
    assign count_o = count_q;

    logic unused;
    assign unused = &{1'b0, masked_i};
  end else begin : gen_matches
    localparam int unsigned SumBits = $clog2(Simd + 1);

    logic [  SumBits-1:0] sum;
    logic [CountBits-1:0] count_q;

`ifdef FLOW_COUNTONES
    always_ff @(posedge clk_i) if (enable_i) sum <= SumBits'($countones(~(signs_i ^ weights_i)));
`else
    localparam int unsigned Triples = Simd / 3;
    localparam int unsigned Singles = Simd % 3;  // signs that are left
    localparam int unsigned Ones    = Triples + Singles;

    logic [Ones+Triples-1:0] bits;

    for (genvar t = 0; t < Triples; t++) begin : gen_triple
      match_triple i_triple (
          .a_i       (signs_i[3*t+:3]),
          .b_i       (weights_i[3*t+:3]),
          .parity_o  (bits[t]),
          .majority_o(bits[Ones+t])
      );
    end
    for (genvar i = 0; i < Singles; i++) begin : gen_single
      assign bits[Triples+i] = ~(signs_i[3*Triples+i] ^ weights_i[3*Triples+i]);
    end

    compressor_tree #(
        .Counts   (80'(Ones) | 80'(Triples) << 8),
        .RankAfter(2),
        .SumBits  (SumBits)
    ) i_tree (
        .clk_i,
        .enable_i,
        .bits_i(bits),
        .sum_o (sum)
    );
`endif

    if (Masked != 0) begin : gen_masked
      logic masked_q;
      always_ff @(posedge clk_i) begin
        if (enable_i) masked_q <= masked_i;
        if (enable_i && masked_q) count_q <= CountBits'(Simd);
        else if (enable_i) count_q <= {sum, 1'b0};
      end
    end else begin : gen_all
      always_ff @(posedge clk_i) if (enable_i) count_q <= sum;

      logic unused;
      assign unused = &{1'b0, masked_i};
    end
    assign count_o = count_q;
  end
endmodule
