/// Constants per channel for a stream: gives word 0 for the first beat of a pixel, word 1 for the next, and starts again after
/// Words beats. Read ahead into a register, so it maps to block RAM as well as to LUTs.
module channel_table #(
    parameter int unsigned Words       = 1,      // beats of a pixel
    parameter int unsigned Width       = 8,      // bits of a word
    parameter              File        = "",     // $readmemh file of Words words
    parameter              MemoryStyle = "auto"  // rom_style: auto, block, distributed
) (
    input  logic             clk_i,
    input  logic             rst_ni,  // back to word 0
    input  logic             step_i,  // this cycle uses the word: the next one is for the next beat
    output logic [Width-1:0] word_o
);
  localparam int unsigned AddressBits = Words > 1 ? $clog2(Words) : 1;

  (* rom_style = MemoryStyle *) logic [Width-1:0] memory[Words];
  initial $readmemh(File, memory);

  logic [AddressBits-1:0] address_q, address_d;
  logic [Width-1:0] word_q;

  assign word_o = word_q;

  always_comb begin
    address_d = address_q;
    if (!rst_ni) address_d = AddressBits'(0);
    else if (step_i) address_d = address_q == AddressBits'(Words - 1) ? AddressBits'(0) : address_q + AddressBits'(1);
  end

  always_ff @(posedge clk_i) begin
    address_q <= address_d;
    word_q <= memory[address_d];
  end
endmodule
