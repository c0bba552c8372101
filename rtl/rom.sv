/// A memory of constants that is read into a register, so it maps to block RAM as well as to LUTs.
module rom #(
    parameter  int unsigned Words       = 2,                             // words of the memory
    parameter  int unsigned Width       = 8,                             // bits of a word
    parameter               File        = "",                            // $readmemh file of Words words
    parameter               MemoryStyle = "auto",                        // rom_style: auto, block, distributed
    localparam int unsigned AddressBits = Words > 1 ? $clog2(Words) : 1
) (
    input  logic                   clk_i,
    input  logic                   enable_i,   // reads a word; else word_o stays
    input  logic [AddressBits-1:0] address_i,  // of the word
    output logic [      Width-1:0] word_o      // the word read last, from the next cycle on
);
  // synthesis translate_off
  localparam logic [127:0] Style = 128'(MemoryStyle);
  initial if (Style != 128'("auto") && Style != 128'("block") && Style != 128'("distributed"))
    $fatal(1, "rom: MemoryStyle %0s is none of auto, block, distributed", MemoryStyle);
  // synthesis translate_on

  (* rom_style = MemoryStyle *) logic [Width-1:0] memory[Words];
  initial $readmemh(File, memory);

  logic [Width-1:0] word_q;
  assign word_o = word_q;

  always_ff @(posedge clk_i) if (enable_i) word_q <= memory[address_i];
endmodule
