/// Turns results that come channel by channel into a stream that leaves pixel by pixel.
///
/// A frame's results come Words times Pixels: result `word` of all pixels, then result `word + 1`. They are kept in one of two maps;
/// while one fills, the other one leaves. Nothing here stalls what comes: who makes results waits for `room_o` before the first one
/// of a frame that it begins, and says so by `reserve_i`.
module output_maps #(
    parameter int unsigned Pixels      = 16,     // of a map
    parameter int unsigned Words       = 2,      // of a pixel
    parameter int unsigned Width       = 8,      // bits of a word
    parameter              MemoryStyle = "auto"  // ram_style of the maps: auto, block, distributed
) (
    input  logic             clk_i,
    input  logic             rst_ni,       // empties both maps
    input  logic             reserve_i,    // a frame begins: one map is taken
    output logic             room_o,       // there is a map to take
    input  logic [Width-1:0] word_i,       // the next result
    input  logic             valid_i,      // it comes
    output logic [Width-1:0] out_data_o,   // words of a pixel, one after the other
    output logic             out_valid_o,
    input  logic             out_ready_i
);
  localparam int unsigned MapWords = Pixels * Words;
  localparam int unsigned AddressBits = $clog2(2 * MapWords);
  localparam int unsigned PixelBits = Pixels > 1 ? $clog2(Pixels) : 1;
  localparam int unsigned WordBits = Words > 1 ? $clog2(Words) : 1;

  // synthesis translate_off
  localparam logic [127:0] Style = 128'(MemoryStyle);
  initial if (Style != 128'("auto") && Style != 128'("block") && Style != 128'("distributed"))
    $fatal(1, "output_maps: MemoryStyle %0s is none of auto, block, distributed", MemoryStyle);
  // synthesis translate_on

  (* ram_style = MemoryStyle *) logic [Width-1:0] maps[2*MapWords];
  logic [AddressBits-1:0] write_q, start_q, start_d;  // address of the next result, and of the first pixel's of this word
  logic [AddressBits-1:0] read;
  logic [PixelBits-1:0] unused_pixel;
  logic [WordBits-1:0] unused_word;
  logic upper_q;                       // the second map fills
  logic [1:0] reserved_q, complete_q;  // maps in use, of which complete
  logic last_pixel, last_word, done, drain, drain_last, drained, out_free;

  assign room_o  = !reserved_q[1];
  assign done    = valid_i && last_pixel && last_word;
  assign drain   = complete_q != 2'd0 && out_free;
  assign drained = drain && (read == AddressBits'(MapWords - 1) || drain_last);

  counter #(
      .Count(Pixels)
  ) i_pixel (
      .clk_i,
      .rst_ni,
      .step_i (valid_i),
      .count_o(unused_pixel),
      .last_o (last_pixel)
  );
  counter #(
      .Count(Words)
  ) i_word (
      .clk_i,
      .rst_ni,
      .step_i (valid_i && last_pixel),
      .count_o(unused_word),
      .last_o (last_word)
  );
  counter #(
      .Count(2 * MapWords)
  ) i_read (
      .clk_i,
      .rst_ni,
      .step_i (drain),
      .count_o(read),
      .last_o (drain_last)
  );

  always_comb begin
    if (!last_word) start_d = start_q + AddressBits'(1);
    else start_d = upper_q ? AddressBits'(0) : AddressBits'(MapWords);
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) maps[write_q] <= word_i;

    if (!rst_ni) begin
      write_q    <= AddressBits'(0);
      start_q    <= AddressBits'(0);
      upper_q    <= 1'b0;
      reserved_q <= 2'd0;
      complete_q <= 2'd0;
    end else begin
      if (valid_i) write_q <= last_pixel ? start_d : write_q + AddressBits'(Words);
      if (valid_i && last_pixel) start_q <= start_d;
      if (done) upper_q <= !upper_q;
      reserved_q <= reserved_q + 2'(reserve_i) - 2'(drained);
      complete_q <= complete_q + 2'(done) - 2'(drained);
    end
  end

  stream_register #(
      .Width(Width)
  ) i_out (
      .clk_i,
      .rst_ni,
      .in_data_i (maps[read]),
      .in_valid_i(complete_q != 2'd0),
      .in_ready_o(out_free),
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );
endmodule
