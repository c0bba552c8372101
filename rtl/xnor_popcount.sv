/// Binary matrix-vector engine with votes: for every window of Inputs signs, output o is 1 (+1) when
/// `popcount(window XNOR weight[o]) >= Threshold`, that is when Threshold or more products are +1.
///
/// A window comes as SF = Inputs/Simd beats and is used for NF = Outputs/Pe passes (window_replay). Stages: fetch, XNOR and
/// popcount, accumulate, vote (majority_vote, the output register). A window takes NF*SF cycles, with no gap between
/// passes, windows or frames; where a frame ends makes no difference here, so the number of pixels is no parameter.
///
/// WeightFile has NF*SF words of Pe*Simd bits; word nf*SF + sf holds, in bit e*Simd + i, the weight of output nf*Pe + e
/// and input sf*Simd + i; 1 is +1.
///
/// Ports: stream `in` (Simd signs, one bit each), stream `out` (Pe votes, outputs in order).
module xnor_popcount #(
    parameter int unsigned Inputs      = 576,               // signs a window (kernel * kernel * channels)
    parameter int unsigned Outputs     = 64,                // output channels
    parameter int unsigned Pe          = 1,                 // outputs at a time, divides Outputs
    parameter int unsigned Simd        = 32,                // inputs at a time, divides Inputs
    parameter int unsigned Threshold   = (Inputs + 1) / 2,  // the least popcount that votes +1; default: the majority
    parameter              WeightFile  = "",                // for $readmemh; untyped, as Yosys 0.23 knows no string parameters
    parameter              MemoryStyle = "auto"             // of the weights: "block", "distributed" or "auto"
) (
    input  logic            clk_i,
    input  logic            rst_ni,
    input  logic [Simd-1:0] in_data_i,
    input  logic            in_valid_i,
    output logic            in_ready_o,
    output logic [  Pe-1:0] out_data_o,
    output logic            out_valid_o,
    input  logic            out_ready_i
);

  localparam int unsigned SF          = Inputs / Simd;
  localparam int unsigned NF          = Outputs / Pe;
  localparam int unsigned AddressBits = SF * NF > 1 ? $clog2(SF * NF) : 1;
  localparam int unsigned CountBits   = $clog2(Simd + 1);    // of a beat
  localparam int unsigned SumBits     = $clog2(Inputs + 1);  // of a window

  // synthesis translate_off
  initial begin
    if (SF * Simd != Inputs) $fatal(1, "xnor_popcount: Simd %0d does not divide Inputs %0d", Simd, Inputs);
    if (NF * Pe != Outputs) $fatal(1, "xnor_popcount: Pe %0d does not divide Outputs %0d", Pe, Outputs);
  end
  // synthesis translate_on

  logic                    stall, sum_ready;
  logic [ AddressBits-1:0] address;
  logic [        Simd-1:0] window;
  logic [     Pe*Simd-1:0] weight_q;
  logic                    window_valid, window_first, window_last;
  logic                    count_valid_q, count_first_q, count_last_q, sum_valid_q;
  logic [  Pe*SumBits-1:0] sum;

  assign stall = sum_valid_q && !sum_ready;

  window_replay #(
      .Width (Simd),
      .Beats (SF),
      .Passes(NF)
  ) i_window (
      .clk_i,
      .rst_ni,
      .in_data_i,
      .in_valid_i,
      .in_ready_o,
      .stall_i  (stall),
      .address_o(address),
      .data_o   (window),
      .valid_o  (window_valid),
      .first_o  (window_first),
      .last_o   (window_last)
  );

  (* rom_style = MemoryStyle *) logic [Pe*Simd-1:0] weights[SF*NF];
  initial $readmemh(WeightFile, weights);
  always_ff @(posedge clk_i) if (!stall) weight_q <= weights[address];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      count_valid_q <= 1'b0;
      sum_valid_q   <= 1'b0;
    end else if (!stall) begin
      count_valid_q <= window_valid;
      sum_valid_q   <= count_valid_q && count_last_q;
    end
    if (!stall) begin
      count_first_q <= window_first;
      count_last_q  <= window_last;
    end
  end

  for (genvar e = 0; e < Pe; e++) begin : gen_pe
    logic [CountBits-1:0] count, count_q;
    logic [  SumBits-1:0] sum_q;

    popcount #(
        .Bits(Simd)
    ) i_popcount (
        .bits_i (~(window ^ weight_q[e*Simd+:Simd])),
        .count_o(count)
    );

    always_ff @(posedge clk_i) begin
      if (!stall) count_q <= count;
      if (!stall && count_valid_q) sum_q <= (count_first_q ? SumBits'(0) : sum_q) + SumBits'(count_q);
    end

    assign sum[e*SumBits+:SumBits] = sum_q;
  end

  majority_vote #(
      .Pe       (Pe),
      .CountBits(SumBits),
      .Threshold(Threshold)
  ) i_vote (
      .clk_i,
      .rst_ni,
      .in_data_i (sum),
      .in_valid_i(sum_valid_q),
      .in_ready_o(sum_ready),
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );

endmodule
