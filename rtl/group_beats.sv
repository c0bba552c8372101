/// Tells which beats of a window begin and end a group of Beats beats; a window's last group ends with the window.
module group_beats #(
    parameter int unsigned Beats = 2  // beats a group
) (
    input  logic clk_i,
    input  logic rst_ni,   // the next beat begins a group
    input  logic step_i,   // a beat passes
    input  logic last_i,   // it is the last of its window
    output logic first_o,  // it is the first of its group
    output logic last_o    // it is the last of its group
);
  localparam int unsigned BeatBits = Beats > 1 ? $clog2(Beats) : 1;

  logic [BeatBits-1:0] beat;
  logic last_beat;

  assign first_o = beat == BeatBits'(0);
  assign last_o  = last_i || last_beat;

  counter #(
      .Count(Beats)
  ) i_beat (
      .clk_i,
      .rst_ni (rst_ni && !(step_i && last_i)),
      .step_i,
      .count_o(beat),
      .last_o (last_beat)
  );
endmodule
