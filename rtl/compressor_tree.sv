/// Adds bits of the weights 1, 2, 4, ...: `sum_o` is the sum of all, from a register where RankAfter is not negative.
///
/// `bits_i` holds the bits of weight 1 first, then those of weight 2, and so on; byte c of Counts says how many bits of weight 2**c
/// there are. A stage replaces the bits of a weight, five and five, together with one of the next weight, by three: of this weight, of
/// the next, and of the one after that. This is a 2-bit addition `{two, d, e} + {majority of a b c, parity of a b c, e}`, in which e
/// comes in as a carry: two LUTs on a carry chain. Where no weight has five bits, three become two by one LUT in the same way. Bits that
/// are there early (low ones) go through LUTs, late ones are carries. With two bits a weight left (and a third of weight 1, a carry), one
/// addition ends it. Stages are nested: each is this module with the bits that the stage before left.
module compressor_tree #(
    parameter  int unsigned Weights   = 10,     // how many weights may have bits, now or in a later stage
    parameter  logic [8*Weights-1:0] Counts = (8 * Weights)'(3), // bits of each weight, a byte a weight, 1 first; at most 255
    parameter  int          RankAfter = -1,     // registers in front of the stage of this number; if there are fewer, of the addition
    parameter  int unsigned SumBits   = 2,      // of the sum, which they hold
    localparam int unsigned Bits      = bits_below(Weights)
) (
    input  logic               clk_i,
    input  logic               enable_i,  // loads the registers
    input  logic [   Bits-1:0] bits_i,    // all bits, see above
    output logic [SumBits-1:0] sum_o      // their sum
);

  // How many bits there are of weight 2**c, and of all weights below.
  function automatic int unsigned count(input int unsigned c);
    count = c < Weights ? 32'(Counts[8*c+:8]) : 0;
  endfunction

  function automatic int unsigned bits_below(input int unsigned c);
    bits_below = 0;
    for (int unsigned i = 0; i < c; i++) bits_below = bits_below + count(i);
  endfunction

  // Is there a weight with five bits? Is the addition all that is left?
  function automatic logic has_fives();
    has_fives = 1'b0;
    for (int unsigned i = 0; i < Weights; i++) has_fives = has_fives || count(i) >= 5;
  endfunction

  function automatic logic is_done();
    is_done = count(0) <= 3;
    for (int unsigned i = 1; i < Weights; i++) is_done = is_done && count(i) <= 2;
  endfunction

  localparam logic HasFives = has_fives();

  // Where bits are is computed in localparams only: Verilator makes code of functions that are called in an assign.

  // Of weight 2**c: bits that the fives of the weight below take, fives, threes, and bits that stay as they are. What is taken is found
  // for all weights at once, as tools that interpret these functions would take long otherwise.
  function automatic logic [8*Weights-1:0] all_taken();
    int unsigned fives_below;
    all_taken = '0;
    for (int unsigned i = 0; HasFives && i + 1 < Weights; i++) begin
      fives_below             = (count(i) - 32'(all_taken[8*i+:8])) / 5;
      all_taken[8*(i+1)+:8]   = 8'(fives_below < count(i + 1) ? fives_below : count(i + 1));
    end
  endfunction

  localparam logic [8*Weights-1:0] Taken = all_taken();

  function automatic int unsigned taken(input int unsigned c);
    taken = c < Weights ? 32'(Taken[8*c+:8]) : 0;
  endfunction

  function automatic int unsigned fives(input int unsigned c);
    fives = (count(c) - taken(c)) / 5;
  endfunction

  function automatic int unsigned threes(input int unsigned c);
    threes = !HasFives && count(c) > (c == 0 ? 3 : 2) ? count(c) / 3 : 0;
  endfunction

  function automatic int unsigned rest(input int unsigned c);
    rest = count(c) - taken(c) - 5 * fives(c) - 3 * threes(c);
  endfunction

  // What the next stage has of weight 2**c: what stays, sums of this weight, carries of the two below.
  function automatic int unsigned next(input int unsigned c);
    next = rest(c) + fives(c) + threes(c);
    if (c >= 1) next = next + fives(c - 1) + threes(c - 1);
    if (c >= 2) next = next + fives(c - 2);
  endfunction

  function automatic logic [8*Weights-1:0] next_counts();
    for (int unsigned i = 0; i < Weights; i++) next_counts[8*i+:8] = 8'(next(i));
  endfunction

  function automatic int unsigned next_below(input int unsigned c);
    next_below = 0;
    for (int unsigned i = 0; i < c; i++) next_below = next_below + next(i);
  endfunction

  logic unused_clock;
  assign unused_clock = &{1'b0, clk_i, enable_i};  // where there are no registers

  logic [Bits-1:0] bits;

  if (RankAfter == 0) begin : gen_rank
    logic [Bits-1:0] bits_q;
    always_ff @(posedge clk_i) if (enable_i) bits_q <= bits_i;
    assign bits = bits_q;
  end else begin : gen_wire
    assign bits = bits_i;
  end

  if (is_done()) begin : gen_addition
    logic [SumBits:0] first, second, total;
    logic carry;

    localparam logic HasCarry = count(0) == 3;
    assign carry = HasCarry ? bits[HasCarry?2 : 0] : 1'b0;
    for (genvar c = 0; c < SumBits; c++) begin : gen_weight
      localparam int unsigned Count = count(c);
      localparam int unsigned At    = bits_below(c);
      assign first[c+1]  = Count >= 1 ? bits[Count>=1?At : 0] : 1'b0;
      assign second[c+1] = Count >= 2 ? bits[Count>=2?At+1 : 0] : 1'b0;
    end
    assign first[0]  = carry;
    assign second[0] = carry;
    assign total     = first + second;

    if (RankAfter > 0) begin : gen_late_rank
      logic [SumBits-1:0] sum_q;
      always_ff @(posedge clk_i) if (enable_i) sum_q <= total[SumBits:1];
      assign sum_o = sum_q;
    end else begin : gen_sum
      assign sum_o = total[SumBits:1];
    end

    logic unused;
    assign unused = total[0];
  end else begin : gen_stage
    localparam int unsigned NextBits = next_below(Weights);
    localparam logic [8*Weights-1:0] NextCounts = next_counts();
    logic [NextBits-1:0] left;

    for (genvar c = 0; c < Weights; c++) begin : gen_weight
      localparam int unsigned From    = bits_below(c) + taken(c);
      localparam int unsigned Above   = bits_below(c + 1);
      localparam int unsigned Twos    = taken(c + 1);
      localparam int unsigned Fives   = fives(c);
      localparam int unsigned Threes  = threes(c);
      localparam int unsigned Rest    = rest(c);
      localparam int unsigned ToRest  = next_below(c);
      localparam int unsigned ToSum   = ToRest + Rest;
      localparam int unsigned ToCarry = next_below(c + 1) + rest(c + 1) + fives(c + 1) + threes(c + 1);
      localparam int unsigned ToLast  = next_below(c + 2) + rest(c + 2) + fives(c + 2) + threes(c + 2) + fives(c + 1) + threes(c + 1);

      for (genvar k = 0; k < Fives; k++) begin : gen_five
        logic two;
        assign two = k < Twos ? bits[k < Twos ? Above + k : 0] : 1'b0;
        compressor i_compressor (
            .ones_i(bits[From+5*k+:5]),
            .two_i (two),
            .sum_o ({left[ToLast+k], left[ToCarry+k], left[ToSum+k]})
        );
      end

      for (genvar k = 0; k < Threes; k++) begin : gen_three
        logic [2:0] three, sum;
        logic unused;

        assign three = bits[From+3*k+:3];
        assign sum   = {1'b0, three[0], three[2]} + {1'b0, three[1], three[2]};

        assign left[ToSum+k]   = sum[1];
        assign left[ToCarry+k] = sum[2];
        assign unused          = sum[0];
      end

      for (genvar k = 0; k < Rest; k++) begin : gen_rest
        assign left[ToRest+k] = bits[From+5*Fives+3*Threes+k];
      end
    end

    compressor_tree #(
        .Weights  (Weights),
        .Counts   (NextCounts),
        .RankAfter(RankAfter > 0 ? RankAfter - 1 : -1),
        .SumBits  (SumBits)
    ) i_next (
        .clk_i,
        .enable_i,
        .bits_i(left),
        .sum_o
    );
  end
endmodule
