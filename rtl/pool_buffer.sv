/// What pooling over windows that do not overlap has in common: the place of a beat in its window, and the partial results.
///
/// Maps come in NHWC order, one behind the other. For each beat the module around reads `partial_o`, the result of its window
/// so far, and gives back the result with this beat: `partial_i` waits in a memory of Windows * Words words for the window's
/// next beat; at its last one `result_i` goes straight to the output register, so that the next window can start at once.
///
/// Rate: an input beat every cycle; only a beat that completes a window ever waits, for the output.
///
/// Parameters
///   Words:         beats a pixel
///   Windows:       windows side by side in the map
///   WindowRows:    height of a window; divides the height of the map, which is no parameter
///   WindowColumns: width of a window
///   PartialWidth:  bits of a partial result
///   OutWidth:      bits of a result
/// Ports
///   clk_i, rst_ni: clock; synchronous reset, active low: back to the start of a map
///   in_*:      the map; its data goes to the module around
///   first_o:   the beat is the first of its window; partial_o means nothing
///   partial_o: the window's result without this beat
///   partial_i: the window's result with this beat
///   result_i:  the same as it leaves the module, used at the window's last beat
///   out_*:     a result for each window and beat of a pixel, in NHWC order
module pool_buffer #(
    parameter int unsigned Words         = 16,
    parameter int unsigned Windows       = 16,
    parameter int unsigned WindowRows    = 2,
    parameter int unsigned WindowColumns = 2,
    parameter int unsigned PartialWidth  = 48,
    parameter int unsigned OutWidth      = 40
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,
    input  logic                    in_valid_i,
    output logic                    in_ready_o,
    output logic                    first_o,
    output logic [PartialWidth-1:0] partial_o,
    input  logic [PartialWidth-1:0] partial_i,
    input  logic [    OutWidth-1:0] result_i,
    output logic [    OutWidth-1:0] out_data_o,
    output logic                    out_valid_o,
    input  logic                    out_ready_i
);

  localparam int unsigned Depth       = Windows * Words;
  localparam int unsigned AddressBits = Depth > 1 ? $clog2(Depth) : 1;
  localparam int unsigned WordBits    = Words > 1 ? $clog2(Words) : 1;
  localparam int unsigned RowBits     = WindowRows > 1 ? $clog2(WindowRows) : 1;
  localparam int unsigned ColumnBits  = WindowColumns > 1 ? $clog2(WindowColumns) : 1;

  // Address = window_q + word_q: the columns of a window share its words.
  logic [WordBits-1:0] word_q;
  logic [ColumnBits-1:0] column_q;
  logic [AddressBits-1:0] window_q, address;
  logic [RowBits-1:0] row_q;
  logic last_word, last_column, last_window, last_row;
  logic take, complete, pixel_end, window_end, row_end;

  assign last_word   = word_q == WordBits'(Words - 1);
  assign last_column = column_q == ColumnBits'(WindowColumns - 1);
  assign last_window = window_q == AddressBits'(Depth - Words);
  assign last_row    = row_q == RowBits'(WindowRows - 1);

  assign first_o    = row_q == '0 && column_q == '0;
  assign complete   = last_row && last_column;
  assign in_ready_o = !complete || !out_valid_o || out_ready_i;
  assign take       = in_valid_i && in_ready_o;
  assign pixel_end  = take && last_word;
  assign window_end = pixel_end && last_column;
  assign row_end    = window_end && last_window;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      word_q   <= '0;
      column_q <= '0;
      window_q <= '0;
      row_q    <= '0;
    end else begin
      if (take) word_q <= last_word ? '0 : word_q + 1'b1;
      if (pixel_end) column_q <= last_column ? '0 : column_q + 1'b1;
      if (window_end) window_q <= last_window ? '0 : window_q + AddressBits'(Words);
      if (row_end) row_q <= last_row ? '0 : row_q + 1'b1;
    end
  end

  (* ram_style = "distributed" *)
  logic [PartialWidth-1:0] partials[Depth];

  assign address   = window_q + AddressBits'(word_q);
  assign partial_o = partials[address];

  always_ff @(posedge clk_i) if (take) partials[address] <= partial_i;

  logic [OutWidth-1:0] result_q;
  logic valid_q;

  always_ff @(posedge clk_i) begin
    if (take && complete) result_q <= result_i;
    if (!rst_ni) valid_q <= 1'b0;
    else if (take && complete) valid_q <= 1'b1;
    else if (out_ready_i) valid_q <= 1'b0;
  end

  assign out_data_o  = result_q;
  assign out_valid_o = valid_q;

endmodule
