/// What pooling over windows that do not overlap has in common: the place of a beat in its window, and the partial results.
///
/// Maps come in NHWC order, one behind the other. For each beat the module around reads `partial_o`, the result of its window
/// so far, and gives back the result with this beat: `partial_i` waits in a memory of Windows * Words words for the window's
/// next beat; at its last one `result_i` goes straight to the output register, so that the next window can start at once.
///
/// Rate: an input beat every cycle; only a beat that completes a window ever waits, for the output.
module pool_buffer #(
    parameter int unsigned Words         = 16,  // beats a pixel
    parameter int unsigned Windows       = 16,  // windows side by side in the map
    parameter int unsigned WindowRows    = 2,   // height of a window; divides the height of the map, which is no parameter
    parameter int unsigned WindowColumns = 2,   // width of a window
    parameter int unsigned PartialWidth  = 48,  // bits of a partial result
    parameter int unsigned OutWidth      = 40   // bits of a result
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,       // back to the start of a map
    input  logic                    in_valid_i,   // the map; its data goes to the module around
    output logic                    in_ready_o,
    output logic                    first_o,      // the beat is the first of its window; partial_o means nothing
    output logic [PartialWidth-1:0] partial_o,    // the window's result without this beat
    input  logic [PartialWidth-1:0] partial_i,    // the window's result with this beat
    input  logic [    OutWidth-1:0] result_i,     // the same as it leaves the module, used at the window's last beat
    output logic [    OutWidth-1:0] out_data_o,   // a result for each window and beat of a pixel, NHWC
    output logic                    out_valid_o,
    input  logic                    out_ready_i
);
  localparam int unsigned Depth       = Windows * Words;
  localparam int unsigned AddressBits = Depth > 1 ? $clog2(Depth) : 1;
  localparam int unsigned WordBits    = Words > 1 ? $clog2(Words) : 1;
  localparam int unsigned RowBits     = WindowRows > 1 ? $clog2(WindowRows) : 1;
  localparam int unsigned ColumnBits  = WindowColumns > 1 ? $clog2(WindowColumns) : 1;

  // Address = window_q + word: the columns of a window share its words.
  logic [WordBits-1:0] word;
  logic [ColumnBits-1:0] column;
  logic [RowBits-1:0] row;
  logic [AddressBits-1:0] window_q, address;
  logic last_word, last_column, last_window, last_row;
  logic take, complete, out_free, pixel_end, window_end;

  assign last_window = window_q == AddressBits'(Depth - Words);

  assign first_o    = row == RowBits'(0) && column == ColumnBits'(0);
  assign complete   = last_row && last_column;
  assign in_ready_o = !complete || out_free;
  assign take       = in_valid_i && in_ready_o;
  assign pixel_end  = take && last_word;
  assign window_end = pixel_end && last_column;

  counter #(
      .Count(Words)
  ) i_word (
      .clk_i,
      .rst_ni,
      .step_i (take),
      .count_o(word),
      .last_o (last_word)
  );

  counter #(
      .Count(WindowColumns)
  ) i_column (
      .clk_i,
      .rst_ni,
      .step_i (pixel_end),
      .count_o(column),
      .last_o (last_column)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) window_q <= AddressBits'(0);
    else if (window_end) window_q <= last_window ? AddressBits'(0) : window_q + AddressBits'(Words);
  end

  counter #(
      .Count(WindowRows)
  ) i_row (
      .clk_i,
      .rst_ni,
      .step_i (window_end && last_window),
      .count_o(row),
      .last_o (last_row)
  );

  (* ram_style = "distributed" *) logic [PartialWidth-1:0] partials[Depth];

  assign address   = window_q + AddressBits'(word);
  assign partial_o = partials[address];

  always_ff @(posedge clk_i) if (take) partials[address] <= partial_i;

  stream_slice #(
      .Width(OutWidth)
  ) i_out (
      .clk_i,
      .rst_ni,
      .in_data_i (result_i),
      .in_valid_i(in_valid_i && complete),
      .in_ready_o(out_free),
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );
endmodule
