/// The votes of the groups in a beat: vote g is 1 (+1) when `popcount(matches_i[g*Group +: Group]) >= Least`. Combinational.
///
/// The vote of a small group is a table of its matches, so that it takes one LUT6 together with the XNORs of three pairs.
///
/// Ports: `matches_i` whole groups of bits, `votes_o` a bit for each group.
module group_vote #(
    parameter  int unsigned Bits   = 63,           // bits a beat
    parameter  int unsigned Group  = 3,            // bits a group; divides Bits
    parameter  int unsigned Least  = 2,            // the fewest ones that vote +1, 0 to Group + 1
    localparam int unsigned Groups = Bits / Group
) (
    input  logic [  Bits-1:0] matches_i,
    output logic [Groups-1:0] votes_o
);

  localparam int unsigned TableGroup = 5;  // the largest that is a table

  if (Group <= TableGroup) begin : gen_table
    function automatic logic [2**Group-1:0] table_of_votes();
      int unsigned count;
      for (int unsigned word = 0; word < 2 ** Group; word++) begin
        count = 0;
        for (int unsigned i = 0; i < Group; i++) count = count + (word >> i & 1);
        table_of_votes[word] = count >= Least;
      end
    endfunction
    localparam logic [2**Group-1:0] Votes = table_of_votes();

    for (genvar g = 0; g < Groups; g++) begin : gen_group
      assign votes_o[g] = Votes[matches_i[g*Group+:Group]];
    end
  end else begin : gen_count
    localparam int unsigned CountBits = $clog2(Group + 2);  // Least may be Group + 1

    for (genvar g = 0; g < Groups; g++) begin : gen_group
      logic [$clog2(Group + 1)-1:0] count;
      popcount #(
          .Bits(Group)
      ) i_popcount (
          .bits_i (matches_i[g*Group+:Group]),
          .count_o(count)
      );
      assign votes_o[g] = CountBits'(count) >= CountBits'(Least);
    end
  end

endmodule
