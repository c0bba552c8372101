/// Tells which beats of a window begin and end a group of Beats beats; a window's last group ends with the window.
///
/// Ports: `step_i` a beat passes, `last_i` it is the last of its window, `first_o`/`last_o` it is the first/last of its group.
module group_beats #(
    parameter int unsigned Beats = 2  // beats a group
) (
    input  logic clk_i,
    input  logic rst_ni,
    input  logic step_i,
    input  logic last_i,
    output logic first_o,
    output logic last_o
);

  if (Beats == 1) begin : gen_single
    assign first_o = 1'b1;
    assign last_o  = 1'b1;

    logic unused;
    assign unused = &{1'b0, clk_i, rst_ni, step_i, last_i};
  end else begin : gen_count
    localparam int unsigned BeatBits = $clog2(Beats);
    logic [BeatBits-1:0] beat_q;

    assign first_o = beat_q == BeatBits'(0);
    assign last_o  = last_i || beat_q == BeatBits'(Beats - 1);

    always_ff @(posedge clk_i) begin
      if (!rst_ni) beat_q <= BeatBits'(0);
      else if (step_i) beat_q <= last_o ? BeatBits'(0) : beat_q + BeatBits'(1);
    end
  end

endmodule
