/// Constants per channel for a stream: gives word 0 for the first Beats beats, word 1 for the next, and starts again after word
/// Words - 1. The word of the next beat is read ahead, so that a memory with a registered read does, from an address that is there already.
///
/// A stream in pixel order has Beats = 1 and a word for each beat of a pixel; one in channel order (weight_stationary) has a word
/// for all pixels of a group of channels.
module channel_table #(
    parameter int unsigned Words       = 1,       // groups of channels
    parameter int unsigned Width       = 8,       // bits of a word
    parameter              File        = "",      // $readmemh file of Words words
    parameter              MemoryStyle = "auto",  // rom_style: auto, block, distributed
    parameter int unsigned Beats       = 1        // beats that a word is for
) (
    input  logic             clk_i,
    input  logic             rst_ni,  // back to the first beat of word 0
    input  logic             step_i,  // this cycle uses the word: the next one is for the next beat
    output logic [Width-1:0] word_o   // of the beat that comes
);
  localparam int unsigned AddressBits = Words > 1 ? $clog2(Words) : 1;
  localparam int unsigned BeatBits = Beats > 1 ? $clog2(Beats) : 1;

  logic [AddressBits-1:0] address_q, next_q, address_d;  // of the word, of the one after it, of the one that is read now
  logic [BeatBits-1:0] unused_beat;
  logic last_beat;

  counter #(
      .Count(Beats)
  ) i_beat (
      .clk_i,
      .rst_ni,
      .step_i,
      .count_o(unused_beat),
      .last_o (last_beat)
  );

  localparam logic [AddressBits-1:0] Second = AddressBits'(Words > 1 ? 1 : 0);

  logic move;
  assign move      = step_i && last_beat;
  assign address_d = !rst_ni ? AddressBits'(0) : move ? next_q : address_q;

  always_ff @(posedge clk_i) begin
    address_q <= address_d;
    if (!rst_ni) next_q <= Second;
    else if (move) next_q <= next_q == AddressBits'(Words - 1) ? AddressBits'(0) : next_q + AddressBits'(1);
  end

  rom #(
      .Words      (Words),
      .Width      (Width),
      .File       (File),
      .MemoryStyle(MemoryStyle)
  ) i_rom (
      .clk_i,
      .enable_i (1'b1),
      .address_i(address_d),
      .word_o
  );
endmodule
