/// Drops what follows a frame in its last word: of every TakenBeats beats the first GivenBeats pass.
module frame_padding #(
    parameter int unsigned TakenBeats = 2,  // of a frame with its padding
    parameter int unsigned GivenBeats = 1,  // of the frame, 1 to TakenBeats - 1
    parameter int unsigned Bits       = 8   // of a beat
) (
    input  logic            clk_i,
    input  logic            rst_ni,       // the next beat is the first of a frame
    input  logic [Bits-1:0] in_data_i,    // a beat of a frame, or of its padding
    input  logic            in_valid_i,
    output logic            in_ready_o,
    output logic [Bits-1:0] out_data_o,   // a beat of a frame
    output logic            out_valid_o,
    input  logic            out_ready_i
);
  localparam int unsigned CountBits = $clog2(TakenBeats);
  logic [CountBits-1:0] beat;  // of the frame
  logic unused_last, pads;

  counter #(
      .Count(TakenBeats)
  ) i_beat (
      .clk_i,
      .rst_ni,
      .step_i (in_valid_i && in_ready_o),
      .count_o(beat),
      .last_o (unused_last)
  );

  assign pads = beat >= CountBits'(GivenBeats);
  assign in_ready_o = pads || out_ready_i;
  assign out_valid_o = in_valid_i && !pads;
  assign out_data_o = in_data_i;

  // synthesis translate_off
  initial
    if (GivenBeats < 1 || GivenBeats >= TakenBeats)
      $fatal(1, "frame_padding: %0d beats of %0d must be 1 to %0d", GivenBeats, TakenBeats, TakenBeats - 1);
  // synthesis translate_on
endmodule
