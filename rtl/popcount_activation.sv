/// What a binary engine makes of its counts, by the names of flow/nodes/binary_engine.py:
///
///   "majority_vote"   one threshold for all channels, which the engine has taken off the counts: they are signed
///   "threshold"       a threshold per channel
///   "popcount_scale"  multiplier and offset per channel, and a shift (multiply_shift). What a count stands for (s = 2p - n, say) is in
///                     these constants: m*s + b = (2m)*p + (b - m*n)
///   "sum"             the sum of the signs itself
module popcount_activation #(
    parameter              Activation     = "majority_vote",  // one of the names above
    parameter int unsigned Pe             = 1,                // counts a beat
    parameter int unsigned CountBits      = 7,                // bits of a count
    parameter int unsigned OutBits        = 1,                // bits of a result; a vote has 1
    parameter int unsigned Voters         = 64,               // signs of a sum, or groups of them
    parameter int unsigned Unit           = 1,                // what a match counts as: 1 or 2
    parameter int unsigned Words          = 1,                // groups of Pe channels
    parameter int unsigned Beats          = 1,                // beats of a group that follow each other: 1 in pixel order
    parameter              ThresholdFile  = "",               // threshold: see there
    parameter int unsigned MultiplierBits = 8,                // popcount_scale: see multiply_shift
    parameter int unsigned AccBits        = 16,               // popcount_scale
    parameter int unsigned Shift          = 0,                // popcount_scale
    parameter int unsigned Even           = 0,                // popcount_scale
    parameter              MultiplierFile = "",               // popcount_scale
    parameter              OffsetFile     = ""                // popcount_scale
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,       // back to the first channels
    input  logic [Pe*CountBits-1:0] in_data_i,    // Pe counts, unsigned but for majority_vote
    input  logic                    in_valid_i,
    output logic                    in_ready_o,
    output logic [  Pe*OutBits-1:0] out_data_o,   // Pe results
    output logic                    out_valid_o,
    input  logic                    out_ready_i
);

  // Strings of one length: Verilator and Yosys compare no others without a word.
  localparam logic [127:0] Name = 128'(Activation);
  localparam logic Majority  = Name == 128'("majority_vote");
  localparam logic PerOutput = Name == 128'("threshold");
  localparam logic Scaled    = Name == 128'("popcount_scale");
  localparam logic Plain     = Name == 128'("sum");

  // synthesis translate_off
  initial if (!(Majority || PerOutput || Scaled || Plain))
    $fatal(1, "popcount_activation: %0s is none of majority_vote, threshold, popcount_scale, sum", Activation);
  // synthesis translate_on

  if (PerOutput) begin : gen_threshold
    threshold #(
        .Pe           (Pe),
        .CountBits    (CountBits),
        .Words        (Words),
        .Beats        (Beats),
        .ThresholdFile(ThresholdFile)
    ) i_threshold (
        .*
    );
  end else if (Scaled) begin : gen_scale
    localparam int unsigned NumberBits = CountBits + 1;  // of a count as a signed number
    logic [Pe*NumberBits-1:0] numbers;

    for (genvar e = 0; e < Pe; e++) begin : gen_number
      assign numbers[e*NumberBits+:NumberBits] = {1'b0, in_data_i[e*CountBits+:CountBits]};
    end

    multiply_shift #(
        .P             (Pe),
        .Words         (Words),
        .Beats         (Beats),
        .InBits        (NumberBits),
        .MultiplierBits(MultiplierBits),
        .AccBits       (AccBits),
        .Shift         (Shift),
        .Even          (Even),
        .OutBits       (OutBits),
        .MultiplierFile(MultiplierFile),
        .OffsetFile    (OffsetFile)
    ) i_scale (
        .in_data_i(numbers),
        .*
    );
  end else if (Plain) begin : gen_sum
    sum #(
        .Pe       (Pe),
        .CountBits(CountBits),
        .Voters   (Voters),
        .Unit     (Unit),
        .OutBits  (OutBits)
    ) i_sum (
        .*
    );
  end else begin : gen_majority
    majority_vote #(
        .Pe       (Pe),
        .CountBits(CountBits)
    ) i_vote (
        .*
    );
  end

endmodule
