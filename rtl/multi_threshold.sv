/// Counts the thresholds of its channel that an element reaches: out = Base + sum over k of (x >= t[channel][k]); the last Falls of
/// them count down.
///
/// Two ranks of registers: which thresholds are reached, and their number.
module multi_threshold #(
    parameter int unsigned Channels      = 8,      // channels of a pixel, a multiple of P
    parameter int unsigned P             = 1,      // elements a beat
    parameter int unsigned InBits        = 16,     // bits of x and of a threshold, both signed
    parameter int unsigned OutBits       = 3,      // bits of a result, signed
    parameter int unsigned Rises         = 3,      // thresholds of a channel that count up
    parameter int unsigned Falls         = 0,      // thresholds behind these, which count down
    parameter int          Base          = 0,      // the result where none is reached
    parameter              ThresholdFile = "",     // Channels/P words of P * (Rises + Falls) numbers, those of an element side by side
    parameter              MemoryStyle   = "auto"  // rom_style of the thresholds
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,       // back to channel 0
    input  logic [ P*InBits-1:0] in_data_i,    // P signed elements
    input  logic                 in_valid_i,
    output logic                 in_ready_o,
    output logic [P*OutBits-1:0] out_data_o,   // P signed results
    output logic                 out_valid_o,
    input  logic                 out_ready_i
);
  // synthesis translate_off
  initial if (Channels % P != 0) $fatal(1, "multi_threshold: P = %0d does not divide %0d channels", P, Channels);
  // synthesis translate_on

  localparam int unsigned Thresholds = Rises + Falls;

  logic [P*Thresholds*InBits-1:0] thresholds;
  logic [P*Thresholds-1:0] reached_q;
  logic [P*OutBits-1:0] results;
  logic reached_valid, reached_ready;

  channel_table #(
      .Words      (Channels / P),
      .Width      (P * Thresholds * InBits),
      .File       (ThresholdFile),
      .MemoryStyle(MemoryStyle)
  ) i_thresholds (
      .clk_i,
      .rst_ni,
      .step_i(in_valid_i && in_ready_o),
      .word_o(thresholds)
  );

  stream_stage i_reached (
      .clk_i,
      .rst_ni,
      .in_valid_i,
      .in_ready_o,
      .out_valid_o(reached_valid),
      .out_ready_i(reached_ready)
  );

  for (genvar i = 0; i < P; i++) begin : gen_element
    logic [$clog2(Rises + 1)-1:0] rises;

    for (genvar k = 0; k < Thresholds; k++) begin : gen_threshold
      always_ff @(posedge clk_i)
        if (in_ready_o)
          reached_q[i*Thresholds+k] <=
              $signed(in_data_i[i*InBits+:InBits]) >= $signed(thresholds[(i*Thresholds+k)*InBits+:InBits]);
    end

    popcount #(
        .Bits(Rises)
    ) i_rises (
        .bits_i (reached_q[i*Thresholds+:Rises]),
        .count_o(rises)
    );

    if (Falls == 0) begin : gen_rising
      assign results[i*OutBits+:OutBits] = OutBits'(Base) + OutBits'(rises);
    end else begin : gen_both
      logic [$clog2(Falls + 1)-1:0] falls;

      popcount #(
          .Bits(Falls)
      ) i_falls (
          .bits_i (reached_q[i*Thresholds+Rises+:Falls]),
          .count_o(falls)
      );
      assign results[i*OutBits+:OutBits] = OutBits'(Base) + OutBits'(rises) - OutBits'(falls);
    end
  end

  stream_slice #(
      .Width(P * OutBits)
  ) i_out (
      .clk_i,
      .rst_ni,
      .in_data_i (results),
      .in_valid_i(reached_valid),
      .in_ready_o(reached_ready),
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );
endmodule
