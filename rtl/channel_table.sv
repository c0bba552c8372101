/// Constants per channel for a stream: gives word 0 for the first Beats beats, word 1 for the next, and starts again after word
/// Words - 1. Read ahead into a register, so it maps to block RAM as well as to LUTs.
///
/// A stream in pixel order has Beats = 1 and a word for each beat of a pixel; one in channel order (weight_stationary) has a word
/// for all pixels of a group of channels.
module channel_table #(
    parameter int unsigned Words       = 1,      // groups of channels
    parameter int unsigned Width       = 8,      // bits of a word
    parameter              File        = "",     // $readmemh file of Words words
    parameter              MemoryStyle = "auto", // rom_style: auto, block, distributed
    parameter int unsigned Beats       = 1       // beats that a word is for
) (
    input  logic             clk_i,
    input  logic             rst_ni,  // back to the first beat of word 0
    input  logic             step_i,  // this cycle uses the word: the next one is for the next beat
    output logic [Width-1:0] word_o
);
  localparam int unsigned AddressBits = Words > 1 ? $clog2(Words) : 1;

  (* rom_style = MemoryStyle *) logic [Width-1:0] memory[Words];
  initial $readmemh(File, memory);

  logic [AddressBits-1:0] address_q, address_d;
  logic [Width-1:0] word_q;
  logic next;

  assign word_o = word_q;

  if (Beats == 1) begin : gen_every_beat
    assign next = step_i;
  end else begin : gen_beats
    localparam int unsigned BeatBits = $clog2(Beats);
    logic [BeatBits-1:0] beat_q;

    assign next = step_i && beat_q == BeatBits'(Beats - 1);

    always_ff @(posedge clk_i) begin
      if (!rst_ni || next) beat_q <= BeatBits'(0);
      else if (step_i) beat_q <= beat_q + BeatBits'(1);
    end
  end

  always_comb begin
    address_d = address_q;
    if (!rst_ni) address_d = AddressBits'(0);
    else if (next) address_d = address_q == AddressBits'(Words - 1) ? AddressBits'(0) : address_q + AddressBits'(1);
  end

  always_ff @(posedge clk_i) begin
    address_q <= address_d;
    word_q <= memory[address_d];
  end
endmodule
