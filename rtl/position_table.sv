/// Constants per position and channel for a stream in pixel order: the words of a pixel in row y and column x are those from
/// rows[y] + columns[x] on. So a few kinds of rows and of columns need a few sets of words, as those at the border of a map.
///
/// The word of the next beat is read ahead, in two cycles: a step is not in the cycle after a step.
module position_table #(
    parameter int unsigned Rows       = 4,   // of the map
    parameter int unsigned Columns    = 4,   // of the map
    parameter int unsigned Blocks     = 1,   // beats of a pixel
    parameter int unsigned Words      = 4,   // of all sets, at least 2
    parameter int unsigned Width      = 8,   // bits of a word
    parameter              File       = "",  // $readmemh file of Words words
    parameter              RowFile    = "",  // of Rows words: the first word of a row's pixels
    parameter              ColumnFile = ""   // of Columns words: how much further those of a column are
) (
    input  logic             clk_i,
    input  logic             rst_ni,  // back to the first beat of a frame
    input  logic             step_i,  // this cycle uses the word: the next one is for the next beat
    output logic [Width-1:0] word_o   // of the beat that comes
);
  localparam int unsigned AddressBits = Words > 1 ? $clog2(Words) : 1;
  localparam int unsigned RowBits     = Rows > 1 ? $clog2(Rows) : 1;
  localparam int unsigned ColumnBits  = Columns > 1 ? $clog2(Columns) : 1;
  localparam int unsigned BlockBits   = Blocks > 1 ? $clog2(Blocks) : 1;

  (* rom_style = "auto" *) logic [AddressBits-1:0] rows[Rows];
  (* rom_style = "auto" *) logic [AddressBits-1:0] columns[Columns];
  initial $readmemh(RowFile, rows);
  initial $readmemh(ColumnFile, columns);

  logic [RowBits-1:0] row;
  logic [ColumnBits-1:0] column;
  logic [BlockBits-1:0] block;
  logic last_block, last_column, unused_last_row;

  counter #(
      .Count(Blocks)
  ) i_block (
      .clk_i,
      .rst_ni,
      .step_i,
      .count_o(block),
      .last_o (last_block)
  );
  counter #(
      .Count(Columns)
  ) i_column (
      .clk_i,
      .rst_ni,
      .step_i (step_i && last_block),
      .count_o(column),
      .last_o (last_column)
  );
  counter #(
      .Count(Rows)
  ) i_row (
      .clk_i,
      .rst_ni,
      .step_i (step_i && last_block && last_column),
      .count_o(row),
      .last_o (unused_last_row)
  );

  rom #(
      .Words      (Words),
      .Width      (Width),
      .File       (File),
      .MemoryStyle("distributed")
  ) i_rom (
      .clk_i,
      .enable_i (1'b1),
      .address_i(rows[row] + columns[column] + AddressBits'(block)),
      .word_o
  );

  // synthesis translate_off
  logic was_reset_q = 1'b0;  // before the first reset registers have any values
  logic stepped_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) was_reset_q <= 1'b1;
    stepped_q <= rst_ni && step_i;
    if (rst_ni && was_reset_q && step_i && stepped_q) $fatal(1, "position_table: a step in the cycle after a step");
  end
  // synthesis translate_on
endmodule
