/// Adds some numbers of a beat and subtracts the others: the products of signs and numbers, and their sum. Two cycles, under enable_i.
///
/// A number x comes in with its top bit turned, as u = x + 2^(Bits-1), which is not negative. Added, it counts as u; subtracted, as its
/// complement, 2^Bits - 1 - u = 2^(Bits-1) - x - 1: no carry. So the sum is larger than that of the numbers by Numbers * 2^(Bits-1), and
/// smaller by 1 for each that is subtracted. Corrected adds these ones; elsewhere they are constants, in what the sums start from.
///
/// Bits of one weight are looked at three by three with their signs (match_triple), and a compressor_tree adds what is found, with
/// registers in front of its third stage and at its end. With the macro FLOW_COUNTONES, which simulations of whole accelerators set, a
/// plain sum stands for it, as in popcount_lane.
module add_subtract #(
    parameter  int unsigned Numbers   = 16,  // a beat, at most 255, or 190 where Corrected: no weight has more bits (compressor_tree)
    parameter  int unsigned Bits      = 2,   // of a number, at most 16
    parameter  int unsigned Corrected = 0,   // 1: -x is -x, and not its complement
    parameter  int unsigned Masked    = 0,   // 1: a beat may be masked: its sum is that of zeros
    localparam int unsigned SumBits   = Bits + $clog2(Numbers + 1)
) (
    input  logic                    clk_i,
    input  logic                    enable_i,   // moves both registers
    input  logic [Numbers*Bits-1:0] numbers_i,  // signed
    input  logic [     Numbers-1:0] add_i,      // 1: the number is added, 0: it is subtracted
    input  logic                    masked_i,   // none of them is
    output logic [     SumBits-1:0] sum_o       // their sum, two cycles later
);
  localparam logic [SumBits-1:0] Zeros = SumBits'(Numbers << (Bits - 1));  // what zeros add up to

  // synthesis translate_off
  initial begin
    if (Numbers > (Corrected != 0 ? 190 : 255))
      $fatal(1, "add_subtract: Numbers is %0d, must be at most %0d", Numbers, Corrected != 0 ? 190 : 255);
    if (Bits < 2 || Bits > 16) $fatal(1, "add_subtract: Bits is %0d, must be within 2 and 16", Bits);
  end
  // synthesis translate_on

  logic [SumBits-1:0] sum, sum_q;

`ifdef FLOW_COUNTONES
  logic [SumBits-1:0] total;

  always_comb begin
    total = SumBits'(0);
    for (int unsigned i = 0; i < Numbers; i++)
      total = total + SumBits'({numbers_i[i*Bits+Bits-1] != add_i[i], numbers_i[i*Bits+:Bits-1] ^ {(Bits - 1) {!add_i[i]}}});
    if (Corrected != 0) total = total + SumBits'($countones(~add_i));
  end
  always_ff @(posedge clk_i) if (enable_i) sum <= total;
`else
  localparam int unsigned Triples = Numbers / 3;
  localparam int unsigned Singles = Numbers % 3;  // numbers that are left
  localparam int unsigned Ones    = Triples + Singles;
  localparam int unsigned Weights = SumBits + 2;
  localparam int unsigned Extra   = Corrected != 0 ? Numbers : 0;

  // How many bits there are of weight 2**c (see compressor_tree), and of all weights below.
  function automatic int unsigned count(input int unsigned c);
    count = (c < Bits ? Ones : 0) + (c >= 1 && c <= Bits ? Triples : 0) + (c == 0 ? Extra : 0);
  endfunction

  function automatic int unsigned bits_below(input int unsigned c);
    bits_below = 0;
    for (int unsigned i = 0; i < c; i++) bits_below = bits_below + count(i);
  endfunction

  function automatic logic [8*Weights-1:0] counts();
    counts = '0;
    for (int unsigned c = 0; c <= Bits; c++) counts[8*c+:8] = 8'(count(c));
  endfunction

  logic [Bits*(Ones+Triples)+Extra-1:0] bits;  // of each weight: parities and single bits, majorities of the weight below, corrections

  for (genvar b = 0; b < Bits; b++) begin : gen_weight
    localparam int unsigned From       = bits_below(b);  // as localparams: Verilator makes code of functions in an assign
    localparam int unsigned Majorities = bits_below(b + 1) + (b + 1 < Bits ? Ones : 0);

    logic [Numbers-1:0] plane;

    for (genvar i = 0; i < Numbers; i++) begin : gen_number
      assign plane[i] = numbers_i[i*Bits+b] ^ (b == Bits - 1);
    end
    for (genvar t = 0; t < Triples; t++) begin : gen_triple
      match_triple i_triple (
          .a_i       (plane[3*t+:3]),
          .b_i       (add_i[3*t+:3]),
          .parity_o  (bits[From+t]),
          .majority_o(bits[Majorities+t])
      );
    end
    for (genvar i = 0; i < Singles; i++) begin : gen_single
      assign bits[From+Triples+i] = ~(plane[3*Triples+i] ^ add_i[3*Triples+i]);
    end
  end
  if (Corrected != 0) begin : gen_corrected
    assign bits[Ones+:Numbers] = ~add_i;
  end

  compressor_tree #(
      .Weights  (Weights),
      .Counts   (counts()),
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
      if (enable_i && masked_q) sum_q <= Zeros;
      else if (enable_i) sum_q <= sum;
    end
  end else begin : gen_all
    always_ff @(posedge clk_i) if (enable_i) sum_q <= sum;

    logic unused;
    assign unused = &{1'b0, masked_i, Zeros};
  end
  assign sum_o = sum_q;
endmodule
