/// The votes of the groups in a beat: vote g is 1 (+1) when `popcount(matches_i[g*Group +: Group]) >= Least`. Combinational.
///
/// The vote of a small group is a table of its matches, so that it takes one LUT6 together with the XNORs of three pairs.
module group_vote #(
    parameter  int unsigned Bits   = 63,           // bits a beat
    parameter  int unsigned Group  = 3,            // bits a group; divides Bits
    parameter  int unsigned Least  = 2,            // the fewest ones that vote +1, 1 to Group
    localparam int unsigned Groups = Bits / Group
) (
    input  logic [  Bits-1:0] matches_i,  // whole groups
    output logic [Groups-1:0] votes_o     // one of each group
);

  localparam int unsigned CountBits = $clog2(Group + 1);
  localparam logic        Small     = Group <= 5;
  localparam int unsigned TableBits = Small ? 2 ** Group : 1;

  function automatic logic [TableBits-1:0] votes_of_words();
    int unsigned count;
    for (int unsigned word = 0; word < TableBits; word++) begin
      count = 0;
      for (int unsigned i = 0; i < Group; i++) count = count + (word >> i & 1);
      votes_of_words[word] = count >= Least;
    end
  endfunction
  localparam logic [TableBits-1:0] Votes = votes_of_words();

  for (genvar g = 0; g < Groups; g++) begin : gen_group
    if (Small) begin : gen_table
      assign votes_o[g] = Votes[matches_i[g*Group+:Group]];
    end else begin : gen_count
      logic [CountBits-1:0] count;
      popcount #(
          .Bits(Group)
      ) i_popcount (
          .bits_i (matches_i[g*Group+:Group]),
          .count_o(count)
      );
      assign votes_o[g] = count >= CountBits'(Least);
    end
  end

endmodule
