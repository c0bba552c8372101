/// Im2col: turns a feature map into its convolution windows.
///
/// For each output pixel in raster order it gives Kernel*Kernel*Channels/P beats. Outside the map every element is PadValue. The
/// output has OH = (Height + 2*Padding - Kernel)/Stride + 1 rows, and OW columns likewise. TapsTogether chooses the order of a
/// window's elements, the last index fastest:
///   1                (kh, kw, channel): the taps one after the other
///   Kernel           (kh, channel, kw): the taps of a kernel row together
///   Kernel * Kernel  (channel, kh, kw): all taps of a channel together
/// An input beat has P/TapsTogether elements, as the buffer gives one tap a cycle and tap_gather joins TapsTogether of them.
/// With Masked an output beat has one bit more, the highest: 1 where its tap lies outside the map.
///
/// A circular buffer of `Rows` rows, counted modulo Rows over the frames, lies between a writer and a reader. `base` is the first
/// row that the reader still needs; `ahead_q` is how many rows the writer has finished from there on. The writer stops at
/// ahead_q = Rows; the reader stops at a word that is not written yet. After a row of windows the base moves on by Stride, after
/// a frame to row 0 of the next, also past rows that no window needs (ahead_q may then be negative until they have come).
///
/// Rate: a tap every cycle across windows, rows and frames, while the input keeps up; a beat in every cycle until the buffer is
/// full. A frame takes max(Height*Width, OH*OW*Kernel*Kernel) * Channels/P * TapsTogether cycles. Latency: 4 cycles from the word
/// that completes a tap to its beat, 5 from the last of several taps. Where a word is read, and whether it is padding, is found a word
/// ahead (wait_q). Nothing of a frame comes out, padding included, before its first word is in.
/// Kernel 1, Stride 1, Padding 0 is a wire.
module sliding_window #(
    parameter  int unsigned Height       = 32,               // of the input map
    parameter  int unsigned Width        = 32,               // of the input map
    parameter  int unsigned Channels     = 64,               // of the map
    parameter  int unsigned Kernel       = 3,                // of the convolution, the same both ways
    parameter  int unsigned Stride       = 1,                // of the convolution
    parameter  int unsigned Padding      = 1,                // of the map, on each side; less than Kernel
    parameter  int unsigned P            = 32,               // elements an output beat, a multiple of TapsTogether
    parameter  int unsigned Bits         = 1,                // bits of an element
    parameter  int unsigned PadValue     = 0,                // the element outside the map (its low Bits bits)
    parameter  int unsigned Masked       = 0,                // 1: an output beat has a mask; for padded maps, TapsTogether and PadValue 0
    parameter  int unsigned TapsTogether = 1,                // the order, see above
    parameter               MemoryStyle  = "auto",           // ram_style of the buffer: auto, block, distributed
    localparam int unsigned InP          = P / TapsTogether  // elements an input beat, divides Channels
) (
    input  logic                     clk_i,
    input  logic                     rst_ni,       // back to the start of a map
    input  logic [     InP*Bits-1:0] in_data_i,    // InP elements of the map, NHWC
    input  logic                     in_valid_i,
    output logic                     in_ready_o,
    output logic [P*Bits+Masked-1:0] out_data_o,   // P elements of a window, and the mask
    output logic                     out_valid_o,
    input  logic                     out_ready_i
);

  // synthesis translate_off
  localparam logic [127:0] Style = 128'(MemoryStyle);
  initial begin
    if (Style != 128'("auto") && Style != 128'("block") && Style != 128'("distributed"))
      $fatal(1, "sliding_window: MemoryStyle %0s is none of auto, block, distributed", MemoryStyle);
    if (TapsTogether != 1 && TapsTogether != Kernel && TapsTogether != Kernel * Kernel)
      $fatal(1, "sliding_window: TapsTogether (%0d) is neither 1, Kernel nor its square (Kernel %0d)", TapsTogether, Kernel);
    if (P == 0 || P % TapsTogether != 0)
      $fatal(1, "sliding_window: P (%0d) must be a multiple of TapsTogether (%0d)", P, TapsTogether);
    if (Channels % InP != 0)
      $fatal(1, "sliding_window: P (%0d) must divide Channels * TapsTogether (%0d * %0d)", P, Channels, TapsTogether);
    if (Masked > 1 || (Masked == 1 && (TapsTogether != 1 || Padding == 0 || PadValue != 0)))
      $fatal(1, "sliding_window: Masked needs Padding, PadValue 0 and TapsTogether 1");
    if (Bits == 0 || Bits > 32)
      $fatal(1, "sliding_window: Bits is %0d, must be 1 to 32", Bits);
    if (Kernel == 0 || Stride == 0)
      $fatal(1, "sliding_window: Kernel (%0d) and Stride (%0d) must be at least 1", Kernel, Stride);
    if (Padding >= Kernel)
      $fatal(1, "sliding_window: Padding (%0d) must be below Kernel (%0d)", Padding, Kernel);
    if (Height + 2 * Padding < Kernel || Width + 2 * Padding < Kernel)
      $fatal(1, "sliding_window: Kernel %0d is larger than the padded map %0dx%0d", Kernel,
             Height + 2 * Padding, Width + 2 * Padding);
  end
  // synthesis translate_on

  if (Kernel == 1 && Stride == 1 && Padding == 0) begin : gen_wire
    assign out_data_o  = in_data_i;
    assign out_valid_o = in_valid_i;
    assign in_ready_o  = out_ready_i;

    logic unused;
    assign unused = &{1'b0, clk_i, rst_ni};
  end else begin : gen_buffer
    localparam int MapRows = Height;
    localparam int Pad = Padding;
    localparam int Step = Stride;
    localparam int Taps = Kernel;
    localparam int OutRows = (MapRows + 2 * Pad - Taps) / Step + 1;
    localparam int OutCols = (Width + 2 * Pad - Taps) / Step + 1;

    // Columns are counted in words of the map row; a kernel row is TapWords neighbours there.
    localparam int PixelWords = Channels / InP;
    localparam int RowWords = Width * PixelWords;
    localparam int TapWords = Taps * PixelWords;
    localparam int LastTop = (OutRows - 1) * Step - Pad;
    localparam int LastLeft = ((OutCols - 1) * Step - Pad) * PixelWords;

    // Rows let go after the last row of windows of a frame, and after the one before the first that starts
    // inside the map (0: that one starts at row 0).
    localparam int LastRelease = MapRows - (LastTop > 0 ? LastTop : 0);
    localparam int EntryRelease = (Step - Pad % Step) % Step;

    // Room for Stride rows to come while Kernel rows are read, and for the rows of the first windows of the
    // next frame beside those of the last ones of this frame.
    localparam int RowsInFrame = Taps + Step;
    localparam int RowsAtBorder = LastRelease + Taps - Pad;
    localparam int Rows = RowsInFrame > RowsAtBorder ? RowsInFrame : RowsAtBorder;
    localparam int Depth = Rows * RowWords;

    localparam int AddrWidth = $clog2(Depth);
    localparam int TapWidth = TapWords > 1 ? $clog2(TapWords) : 1;
    localparam int TapRowWidth = Taps > 1 ? $clog2(Taps) : 1;
    localparam int RowWordWidth = RowWords > 1 ? $clog2(RowWords) : 1;
    localparam int AheadWidth = $clog2(Rows + 1) + 1;                                  // signed
    localparam int RowWidth = $clog2(MapRows + Pad + Taps + Step + 1) + 1;             // signed
    localparam int WordWidth = $clog2(RowWords + (Pad + Taps + Step) * PixelWords + 1) + 1;  // signed

    // ---- writer ----

    logic [AddrWidth-1:0] wr_addr;
    logic [RowWordWidth-1:0] row_words;  // of the row being written
    logic signed [WordWidth-1:0] wr_word;
    logic signed [AheadWidth-1:0] ahead_q;
    logic write, last_row_word, row_written, unused_wr_last;

    assign in_ready_o  = ahead_q < AheadWidth'(Rows);
    assign write       = in_valid_i && in_ready_o;
    assign row_written = write && last_row_word;
    assign wr_word     = WordWidth'(row_words);

    counter #(
        .Count(Depth)
    ) i_wr_addr (
        .clk_i,
        .rst_ni,
        .step_i (write),
        .count_o(wr_addr),
        .last_o (unused_wr_last)
    );

    counter #(
        .Count(RowWords)
    ) i_row_words (
        .clk_i,
        .rst_ni,
        .step_i (write),
        .count_o(row_words),
        .last_o (last_row_word)
    );

    // ---- reader: position of the next word ----

    logic signed [RowWidth-1:0] top_q, row_q;      // rows of the window's first tap and of this word
    logic signed [WordWidth-1:0] left_q, word_q;   // columns of the same
    logic signed [AheadWidth-1:0] above_q;         // rows from base to this one
    logic [AddrWidth-1:0] base_addr_q, row_addr_q; // where rows base and base + above_q start
    logic issue, wait_row_end_q;                   // the word that waits is read; it is the last of its row of windows
    logic signed [AheadWidth-1:0] wait_release_q;  // rows to let go then
    logic step;                                    // to the next word
    logic tap_row_end, round_end, window_end, row_end, frame_end;  // this word is the last one of these

    // Each kernel row is read in one go up to tap_row_end; the next one starts at word tap_row_d. With all taps of a channel together
    // a go is only the columns of one word of channels, and the round over the kernel rows starts again for the next such word. All
    // other words come from column word_d, that of a new round too.
    logic signed [WordWidth-1:0] word_d, tap_row_d;
    logic round_last, word_last;
    logic [TapRowWidth-1:0] unused_tap_row;

    counter #(
        .Count(Taps)
    ) i_tap_row (
        .clk_i,
        .rst_ni,
        .step_i (step && tap_row_end),
        .count_o(unused_tap_row),
        .last_o (round_last)
    );

    assign round_end  = tap_row_end && round_last;
    assign window_end = round_end && word_last;
    assign row_end    = window_end && left_q == WordWidth'(LastLeft);
    assign frame_end  = row_end && top_q == RowWidth'(LastTop);

    if (TapsTogether == 1) begin : gen_neighbours
      logic [TapWidth-1:0] unused_tap;  // words done of this kernel row

      assign word_last = 1'b1;
      assign tap_row_d = left_q;
      assign word_d    = word_q + WordWidth'(1);

      counter #(
          .Count(TapWords)
      ) i_tap (
          .clk_i,
          .rst_ni,
          .step_i (step),
          .count_o(unused_tap),
          .last_o (tap_row_end)
      );
    end else begin : gen_columns
      localparam logic signed [WordWidth-1:0] Back = WordWidth'((Taps - 1) * PixelWords);  // from the last column to the first
      localparam int ColumnWidth = Taps > 1 ? $clog2(Taps) : 1;
      logic [ColumnWidth-1:0] unused_column;
      logic column_last;

      assign word_last    = word_q == left_q + WordWidth'(TapWords - 1);
      assign tap_row_end = column_last && (TapsTogether > Kernel || word_last);
      assign tap_row_d    = TapsTogether > Kernel ? word_q - Back : left_q;
      assign word_d       = column_last ? word_q - Back + WordWidth'(1) : word_q + WordWidth'(PixelWords);

      counter #(
          .Count(Taps)
      ) i_column (
          .clk_i,
          .rst_ni,
          .step_i (step),
          .count_o(unused_column),
          .last_o (column_last)
      );
    end

    // Rows to let go at row_end, base after that, and the row after this one, each found in a cycle of its own where a row of windows, or
    // of taps, takes several: base two cycles after the row of windows has begun.
    localparam int TapRowSteps = TapsTogether == 1 || TapsTogether == Kernel ? TapWords : Taps;
    localparam logic Early = TapRowSteps >= 2 && OutCols * Taps * TapRowSteps >= 4;

    logic signed [AheadWidth-1:0] release_rows_d, release_rows;
    logic [AddrWidth:0] release_words_d, release_words, base_addr_raw, row_addr_raw;
    logic [AddrWidth-1:0] base_next, row_next, base_addr_d, row_addr_d;

    always_comb begin
      if (top_q == RowWidth'(LastTop)) begin
        release_rows_d  = AheadWidth'(LastRelease);
        release_words_d = (AddrWidth + 1)'(LastRelease * RowWords);
      end else if (top_q >= 0) begin
        release_rows_d  = AheadWidth'(Step);
        release_words_d = (AddrWidth + 1)'(Step * RowWords);
      end else if (top_q + RowWidth'(Step) > 0) begin
        release_rows_d  = AheadWidth'(EntryRelease);
        release_words_d = (AddrWidth + 1)'(EntryRelease * RowWords);
      end else begin
        release_rows_d  = '0;
        release_words_d = '0;
      end
    end

    assign base_addr_raw = {1'b0, base_addr_q} + release_words;
    assign row_addr_raw  = {1'b0, row_addr_q} + (AddrWidth + 1)'(RowWords);

    assign base_next = AddrWidth'(base_addr_raw >= (AddrWidth + 1)'(Depth)
                                  ? base_addr_raw - (AddrWidth + 1)'(Depth) : base_addr_raw);
    assign row_next  = AddrWidth'(row_addr_raw >= (AddrWidth + 1)'(Depth)
                                  ? row_addr_raw - (AddrWidth + 1)'(Depth) : row_addr_raw);

    if (Early) begin : gen_early
      logic signed [AheadWidth-1:0] release_rows_q;
      logic [AddrWidth-1:0] base_next_q, row_next_q;
      logic [AddrWidth:0] release_words_q;
      always_ff @(posedge clk_i) begin
        release_rows_q  <= release_rows_d;
        release_words_q <= release_words_d;
        base_next_q    <= base_next;
        row_next_q     <= row_next;
      end
      assign release_rows = release_rows_q;
      assign release_words = release_words_q;
      assign base_addr_d  = base_next_q;
      assign row_addr_d   = row_next_q;
    end else begin : gen_now
      assign release_rows = release_rows_d;
      assign release_words = release_words_d;
      assign base_addr_d  = base_next;
      assign row_addr_d   = row_next;
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        ahead_q <= '0;
      end else begin
        ahead_q <= ahead_q + (row_written ? AheadWidth'(1) : AheadWidth'(0))
                   - (issue && wait_row_end_q ? wait_release_q : AheadWidth'(0));
      end
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        word_q      <= WordWidth'(-Pad * PixelWords);
        left_q      <= WordWidth'(-Pad * PixelWords);
        row_q       <= RowWidth'(-Pad);
        top_q       <= RowWidth'(-Pad);
        above_q     <= '0;
        row_addr_q  <= '0;
        base_addr_q <= '0;
      end else if (step) begin
        word_q <= word_d;
        if (frame_end) begin
          word_q      <= WordWidth'(-Pad * PixelWords);
          left_q      <= WordWidth'(-Pad * PixelWords);
          row_q       <= RowWidth'(-Pad);
          top_q       <= RowWidth'(-Pad);
          above_q     <= '0;
          row_addr_q  <= base_addr_d;
          base_addr_q <= base_addr_d;
        end else if (row_end) begin
          word_q      <= WordWidth'(-Pad * PixelWords);
          left_q      <= WordWidth'(-Pad * PixelWords);
          row_q       <= top_q + RowWidth'(Step);
          top_q       <= top_q + RowWidth'(Step);
          above_q     <= '0;
          row_addr_q  <= base_addr_d;
          base_addr_q <= base_addr_d;
        end else if (window_end) begin
          word_q     <= left_q + WordWidth'(Step * PixelWords);
          left_q     <= left_q + WordWidth'(Step * PixelWords);
          row_q      <= top_q;
          above_q    <= '0;
          row_addr_q <= base_addr_q;
        end else if (round_end) begin
          row_q      <= top_q;
          above_q    <= '0;
          row_addr_q <= base_addr_q;
        end else if (tap_row_end) begin
          word_q <= tap_row_d;
          row_q  <= row_q + RowWidth'(1);
          if (row_q >= 0) begin
            above_q    <= above_q + AheadWidth'(1);
            row_addr_q <= row_addr_d;
          end
        end
      end
    end

    // ---- reader: the next word waits here until it is written and there is room; then memory, then word or padding ----

    // Whether a word is written is found a cycle before it is read, of the word that comes to wait as well as of that which waits on, so
    // that `issue` comes from registers. Rows that the word before lets go count as still there: `ahead_q` counts them too.
    logic pad, wait_valid_q, wait_pad_q, wait_written_q;
    logic signed [AheadWidth-1:0] wait_above_q, let_go, next_above;
    logic signed [WordWidth-1:0] wait_word_q, next_word;
    logic [AddrWidth-1:0] wait_addr_q;
    logic read_step, read_valid, read_pad_q, tap_free, tap_valid, tap_ready;
    logic [InP*Bits-1:0] read_word_q;
    logic [InP*Bits+Masked-1:0] tap_d, tap;

    assign pad  = row_q < 0 || row_q >= RowWidth'(MapRows) || word_q < 0 || word_q >= WordWidth'(RowWords);
    assign step = !wait_valid_q || issue;

    // A word of padding waits for the first word at row base: there is none before its frame comes.
    assign let_go     = wait_row_end_q ? wait_release_q : '0;
    assign next_above = pad ? '0 : above_q;
    assign next_word  = pad ? '0 : word_q;

    function automatic logic written(input logic signed [AheadWidth-1:0] above, input logic signed [WordWidth-1:0] word,
                                     input logic signed [AheadWidth-1:0] ahead, input logic signed [WordWidth-1:0] words);
      written = above < ahead || (above == ahead && word < words);
    endfunction

    always_ff @(posedge clk_i) begin
      if (step) begin
        wait_pad_q     <= pad;
        wait_above_q   <= next_above;
        wait_word_q    <= next_word;
        wait_addr_q    <= row_addr_q + AddrWidth'(word_q);
        wait_row_end_q <= row_end;
        wait_release_q <= release_rows;
        wait_written_q <= written(next_above + let_go, next_word, ahead_q, wr_word);
      end else begin
        wait_written_q <= written(wait_above_q, wait_word_q, ahead_q, wr_word);
      end

      wait_valid_q <= rst_ni;
      if (!rst_ni) begin
        wait_written_q <= 1'b0;
        wait_row_end_q <= 1'b0;
      end
    end

    assign issue = read_step && wait_written_q;

    (* ram_style = MemoryStyle *) logic [InP*Bits-1:0] rows[Depth];

    always_ff @(posedge clk_i) begin
      if (write) rows[wr_addr] <= in_data_i;
      if (issue) begin
        read_word_q <= rows[wait_addr_q];
        read_pad_q  <= wait_pad_q;
      end
    end

    stream_stage i_read (
        .clk_i,
        .rst_ni,
        .in_valid_i (wait_written_q),
        .in_ready_o (read_step),
        .out_valid_o(read_valid),
        .out_ready_i(tap_free)
    );

    if (Masked != 0) begin : gen_mask
      assign tap_d = read_pad_q ? {1'b1, {InP * Bits{1'b0}}} : {1'b0, read_word_q};
    end else begin : gen_pad_value
      assign tap_d = read_pad_q ? {InP{Bits'(PadValue)}} : read_word_q;
    end

    stream_slice #(
        .Width(InP * Bits + Masked)
    ) i_tap (
        .clk_i,
        .rst_ni,
        .in_data_i  (tap_d),
        .in_valid_i (read_valid),
        .in_ready_o (tap_free),
        .out_data_o (tap),
        .out_valid_o(tap_valid),
        .out_ready_i(tap_ready)
    );

    if (TapsTogether == 1) begin : gen_tap
      assign out_data_o  = tap;
      assign out_valid_o = tap_valid;
      assign tap_ready   = out_ready_i;
    end else begin : gen_gather
      tap_gather #(
          .Taps    (TapsTogether),
          .Channels(InP),
          .Bits    (Bits)
      ) i_gather (
          .clk_i,
          .rst_ni,
          .in_data_i (tap),
          .in_valid_i(tap_valid),
          .in_ready_o(tap_ready),
          .out_data_o,
          .out_valid_o,
          .out_ready_i
      );
    end
  end

endmodule
