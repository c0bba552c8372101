/// Im2col: turns a feature map into its convolution windows.
///
/// For each output pixel in raster order it gives KernelRows*KernelColumns*Channels/P beats. Outside the map every element is PadValue.
/// A window reaches over (KernelRows-1)*DilationRows + 1 rows, so the output has (Height + PadTop + PadBottom - that)/StrideRows + 1, and
/// columns likewise. TapsTogether and Block choose the order of a window's elements, the last index fastest (kh row, kw column of a tap):
///   TapsTogether 1                           (block, kh, kw, channel of the block): the taps one after the other, of all channels
///                                            where Block is Channels, else of Block channels before those of the next ones
///   TapsTogether KernelColumns               (kh, channel, kw): the taps of a kernel row together
///   TapsTogether KernelRows * KernelColumns  (channel, kh, kw): all taps of a channel together
/// An input beat has P/TapsTogether elements, as the buffer gives one tap a cycle and tap_gather joins TapsTogether of them.
/// With Masked an output beat has one bit more, the highest: 1 where its tap lies outside the map.
///
/// A circular buffer of `Rows` rows, counted modulo Rows over the frames, lies between a writer and a reader. `base` is the first
/// row that the reader still needs; `ahead_q` is how many rows the writer has finished from there on. The writer stops at
/// ahead_q = Rows; the reader stops at a word that is not written yet. After a row of windows the base moves on by StrideRows, after
/// a frame to row 0 of the next, also past rows that no window needs (ahead_q may then be negative until they have come). Rows of
/// padding above the map have an address too, the one they had if they were there; nothing is read from it.
///
/// Rate: a tap every cycle across windows, rows and frames, while the input keeps up; a beat in every cycle until the buffer is
/// full. A frame takes max(Height*Width, OH*OW*KernelRows*KernelColumns) * Channels/P * TapsTogether cycles. Latency: 4 cycles from the
/// word that completes a tap to its beat, 5 from the last of several taps. Where a word is read, and whether it is padding, is found a
/// word ahead (wait_q). Nothing of a frame comes out, padding included, before its first word is in.
/// A kernel of one tap, Stride 1 and no padding is a wire.
module sliding_window #(
    parameter  int unsigned Height          = 32,               // of the input map
    parameter  int unsigned Width           = 32,               // of the input map
    parameter  int unsigned Channels        = 64,               // of the map
    parameter  int unsigned KernelRows      = 3,                // taps of a window
    parameter  int unsigned KernelColumns   = 3,                // taps of a window
    parameter  int unsigned StrideRows      = 1,                // from window to window
    parameter  int unsigned StrideColumns   = 1,                // from window to window
    parameter  int unsigned DilationRows    = 1,                // from tap to tap
    parameter  int unsigned DilationColumns = 1,                // from tap to tap
    parameter  int unsigned PadTop          = 1,                // rows outside the map, less than a window reaches over
    parameter  int unsigned PadLeft         = 1,                // columns, likewise
    parameter  int unsigned PadBottom       = 1,                // rows, likewise
    parameter  int unsigned PadRight        = 1,                // columns, likewise
    parameter  int unsigned P               = 32,               // elements an output beat, a multiple of TapsTogether
    parameter  int unsigned Bits            = 1,                // bits of an element
    parameter  int unsigned PadValue        = 0,                // the element outside the map (its low Bits bits)
    parameter  int unsigned Masked          = 0,                // 1: an output beat has a mask; for padded maps, TapsTogether and PadValue 0
    parameter  int unsigned TapsTogether    = 1,                // the order, see above
    parameter  int unsigned Block           = Channels,         // the order, see above; P divides it, and it divides Channels
    parameter               MemoryStyle     = "auto",           // ram_style of the buffer: auto, block, distributed
    localparam int unsigned InP             = P / TapsTogether  // elements an input beat, divides Channels
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

  localparam int unsigned ReachRows    = (KernelRows - 1) * DilationRows + 1;
  localparam int unsigned ReachColumns = (KernelColumns - 1) * DilationColumns + 1;
  localparam logic        Padded       = PadTop + PadLeft + PadBottom + PadRight > 0;

  // synthesis translate_off
  localparam logic [127:0] Style = 128'(MemoryStyle);
  initial begin
    if (Style != 128'("auto") && Style != 128'("block") && Style != 128'("distributed"))
      $fatal(1, "sliding_window: MemoryStyle %0s is none of auto, block, distributed", MemoryStyle);
    if (TapsTogether != 1 && TapsTogether != KernelColumns && TapsTogether != KernelRows * KernelColumns)
      $fatal(1, "sliding_window: TapsTogether (%0d) is neither 1, KernelColumns (%0d) nor KernelRows (%0d) times that", TapsTogether,
             KernelColumns, KernelRows);
    if (P == 0 || P % TapsTogether != 0)
      $fatal(1, "sliding_window: P (%0d) must be a multiple of TapsTogether (%0d)", P, TapsTogether);
    if (Channels % InP != 0)
      $fatal(1, "sliding_window: P (%0d) must divide Channels * TapsTogether (%0d * %0d)", P, Channels, TapsTogether);
    if (TapsTogether == 1 && (Block == 0 || Block % InP != 0 || Channels % Block != 0))
      $fatal(1, "sliding_window: P (%0d) must divide Block (%0d), and that Channels (%0d)", P, Block, Channels);
    if (Masked > 1 || (Masked == 1 && (TapsTogether != 1 || !Padded || PadValue != 0)))
      $fatal(1, "sliding_window: Masked needs padding, PadValue 0 and TapsTogether 1");
    if (Bits == 0 || Bits > 32)
      $fatal(1, "sliding_window: Bits is %0d, must be 1 to 32", Bits);
    if (KernelRows == 0 || KernelColumns == 0 || StrideRows == 0 || StrideColumns == 0 || DilationRows == 0 || DilationColumns == 0)
      $fatal(1, "sliding_window: kernel (%0dx%0d), stride (%0dx%0d) and dilation (%0dx%0d) must be at least 1", KernelRows,
             KernelColumns, StrideRows, StrideColumns, DilationRows, DilationColumns);
    if (PadTop >= ReachRows || PadBottom >= ReachRows || PadLeft >= ReachColumns || PadRight >= ReachColumns)
      $fatal(1, "sliding_window: padding (%0d, %0d, %0d, %0d) must be below a window's %0dx%0d pixels", PadTop, PadLeft, PadBottom,
             PadRight, ReachRows, ReachColumns);
    if (Height + PadTop + PadBottom < ReachRows || Width + PadLeft + PadRight < ReachColumns)
      $fatal(1, "sliding_window: a window of %0dx%0d pixels is larger than the padded map %0dx%0d", ReachRows, ReachColumns,
             Height + PadTop + PadBottom, Width + PadLeft + PadRight);
  end
  // synthesis translate_on

  if (KernelRows * KernelColumns * StrideRows * StrideColumns == 1 && !Padded) begin : gen_wire
    assign out_data_o  = in_data_i;
    assign out_valid_o = in_valid_i;
    assign in_ready_o  = out_ready_i;

    logic unused;
    assign unused = &{1'b0, clk_i, rst_ni};
  end else begin : gen_buffer
    localparam int MapRows = Height;
    localparam int Above = PadTop;
    localparam int Before = PadLeft;
    localparam int Step = StrideRows;
    localparam int Apart = DilationRows;
    localparam int Reach = ReachRows;
    localparam int OutRows = (MapRows + Above + PadBottom - Reach) / Step + 1;
    localparam int OutCols = (Width + Before + PadRight - ReachColumns) / StrideColumns + 1;

    // Columns are counted in words of the map row. A kernel row is read word by word of a block, and tap by tap; where the taps of
    // all channels are neighbours in the map row that is TapWords words in a row.
    localparam int PixelWords = Channels / InP;
    localparam int RowWords = Width * PixelWords;
    localparam int BlockWords = TapsTogether == 1 ? Block / InP : 1;
    localparam int TapWords = KernelColumns * PixelWords;
    localparam logic Neighbours = TapsTogether == 1 && BlockWords == PixelWords && (DilationColumns == 1 || KernelColumns == 1);
    localparam int LastTop = (OutRows - 1) * Step - Above;
    localparam int LastLeft = ((OutCols - 1) * StrideColumns - Before) * PixelWords;

    // Rows let go after the last row of windows of a frame, and after the one before the first that starts
    // inside the map (0: that one starts at row 0).
    localparam int LastRelease = MapRows - (LastTop > 0 ? LastTop : 0);
    localparam int EntryRelease = (Step - Above % Step) % Step;

    // Room for Step rows to come while those of a window are read, and for the rows of the first windows of the
    // next frame beside those of the last ones of this frame.
    localparam int RowsInFrame = Reach + Step;
    localparam int RowsAtBorder = LastRelease + Reach - Above;
    localparam int Rows = RowsInFrame > RowsAtBorder ? RowsInFrame : RowsAtBorder;
    localparam int Depth = Rows * RowWords;

    // From the top of the last windows of a frame to that of the first ones of the next, modulo Rows.
    localparam int FrameStep = (MapRows - (OutRows - 1) * Step + Rows) % Rows;
    localparam int FirstTop = (Rows - Above) % Rows;

    localparam int AddrWidth = $clog2(Depth);
    localparam int TapWidth = TapWords > 1 ? $clog2(TapWords) : 1;
    localparam int TapRowWidth = KernelRows > 1 ? $clog2(KernelRows) : 1;
    localparam int RowWordWidth = RowWords > 1 ? $clog2(RowWords) : 1;
    localparam int AheadWidth = $clog2(Rows + 1) + 1;                                      // signed
    localparam int RowWidth = $clog2(MapRows + Above + Reach + Step + 1) + 1;  // signed
    localparam int WordWidth = $clog2(RowWords + (Before + ReachColumns + StrideColumns) * PixelWords + 1) + 1;  // signed

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
    logic [AddrWidth-1:0] top_addr_q, row_addr_q;  // where rows top and row start, or would above the map
    logic issue, wait_row_end_q;                   // the word that waits is read; it is the last of its row of windows
    logic signed [AheadWidth-1:0] wait_release_q;  // rows to let go then
    logic step;                                    // to the next word
    logic tap_row_end, round_end, window_end, row_end, frame_end;  // this word is the last one of these

    // Each kernel row is read in one go up to tap_row_end; the next one starts at word tap_row_d. Where all taps of a block of channels
    // stand together, or follow each other, a go is only the columns of that block, and the round over the kernel rows starts again
    // for the next block. All other words come from column word_d, that of a new round too.
    localparam logic ByRow = TapsTogether > 1 && TapsTogether == KernelColumns;  // a go is all words of a kernel row, tap by tap
    localparam logic OneRound = TapsTogether == 1 && BlockWords == PixelWords;
    localparam int TapRowSteps = ByRow ? TapWords : KernelColumns * BlockWords;

    logic signed [WordWidth-1:0] word_d, tap_row_d;
    logic round_last, word_last;
    logic [TapRowWidth-1:0] unused_tap_row;

    counter #(
        .Count(KernelRows)
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

    if (Neighbours) begin : gen_neighbours
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
      localparam int ColumnWords = DilationColumns * PixelWords;                                              // from tap to tap
      localparam logic signed [WordWidth-1:0] Back = WordWidth'((KernelColumns - 1) * ColumnWords);  // from the last column to the first
      localparam logic signed [WordWidth-1:0] Ahead = WordWidth'(ColumnWords - BlockWords + 1);      // from a block to the next column's
      localparam int Parts = ByRow ? PixelWords : PixelWords / BlockWords;  // of a kernel row, or rounds of a window
      localparam int PartWidth = Parts > 1 ? $clog2(Parts) : 1;
      localparam int ColumnWidth = KernelColumns > 1 ? $clog2(KernelColumns) : 1;
      localparam int BlockWidth = BlockWords > 1 ? $clog2(BlockWords) : 1;
      logic [ColumnWidth-1:0] unused_column;
      logic [BlockWidth-1:0] unused_word;
      logic [PartWidth-1:0] unused_part;
      logic column_last, block_last;

      assign tap_row_end = block_last && column_last && (!ByRow || word_last);
      assign tap_row_d   = ByRow || OneRound ? left_q : word_q - (Back + WordWidth'(BlockWords - 1));
      assign word_d      = !block_last ? word_q + WordWidth'(1) : column_last ? word_q - (Back - WordWidth'(1)) : word_q + Ahead;

      counter #(
          .Count(BlockWords)
      ) i_block (
          .clk_i,
          .rst_ni,
          .step_i (step),
          .count_o(unused_word),
          .last_o (block_last)
      );

      counter #(
          .Count(KernelColumns)
      ) i_column (
          .clk_i,
          .rst_ni,
          .step_i (step && block_last),
          .count_o(unused_column),
          .last_o (column_last)
      );

      counter #(
          .Count(Parts)
      ) i_part (
          .clk_i,
          .rst_ni,
          .step_i (step && (ByRow ? column_last : round_end)),
          .count_o(unused_part),
          .last_o (word_last)
      );
    end

    // Rows to let go at row_end, the address of the top after that, and of the row after this one, each found in a cycle of its own where
    // a row of windows, or of taps, takes several: the top two cycles after the row of windows has begun.
    localparam logic Early = TapRowSteps >= 2 && OutCols * KernelRows * TapRowSteps >= 4;

    logic signed [AheadWidth-1:0] release_d, release_rows;
    logic [AddrWidth:0] top_step_d, top_step, top_addr_raw, row_addr_raw;
    logic [AddrWidth-1:0] top_next, row_next, top_addr_d, row_addr_d;

    always_comb begin
      if (top_q == RowWidth'(LastTop)) release_d = AheadWidth'(LastRelease);
      else if (top_q >= 0) release_d = AheadWidth'(Step);
      else if (top_q + RowWidth'(Step) > 0) release_d = AheadWidth'(EntryRelease);
      else release_d = '0;
    end

    assign top_step_d   = top_q == RowWidth'(LastTop) ? (AddrWidth + 1)'(FrameStep * RowWords) : (AddrWidth + 1)'(Step * RowWords);
    assign top_addr_raw = {1'b0, top_addr_q} + top_step;
    assign row_addr_raw = {1'b0, row_addr_q} + (AddrWidth + 1)'(Apart * RowWords);

    assign top_next = AddrWidth'(top_addr_raw >= (AddrWidth + 1)'(Depth) ? top_addr_raw - (AddrWidth + 1)'(Depth) : top_addr_raw);
    assign row_next = AddrWidth'(row_addr_raw >= (AddrWidth + 1)'(Depth) ? row_addr_raw - (AddrWidth + 1)'(Depth) : row_addr_raw);

    if (Early) begin : gen_early
      logic signed [AheadWidth-1:0] release_q;
      logic [AddrWidth-1:0] top_next_q, row_next_q;
      logic [AddrWidth:0] top_step_q;
      always_ff @(posedge clk_i) begin
        release_q  <= release_d;
        top_step_q <= top_step_d;
        top_next_q <= top_next;
        row_next_q <= row_next;
      end
      assign release_rows = release_q;
      assign top_step     = top_step_q;
      assign top_addr_d   = top_next_q;
      assign row_addr_d   = row_next_q;
    end else begin : gen_now
      assign release_rows = release_d;
      assign top_step     = top_step_d;
      assign top_addr_d   = top_next;
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

    // The first rows of windows may begin above row 0, which is the base then.
    function automatic logic signed [AheadWidth-1:0] from_base(input logic signed [RowWidth-1:0] top);
      from_base = top < 0 ? AheadWidth'(top) : '0;
    endfunction

    localparam logic signed [RowWidth-1:0] FrameTop = RowWidth'(-Above);
    localparam logic signed [WordWidth-1:0] RowLeft = WordWidth'(-Before * PixelWords);
    logic signed [RowWidth-1:0] next_top;

    assign next_top = top_q + RowWidth'(Step);

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        word_q     <= RowLeft;
        left_q     <= RowLeft;
        row_q      <= FrameTop;
        top_q      <= FrameTop;
        above_q    <= from_base(FrameTop);
        row_addr_q <= AddrWidth'(FirstTop * RowWords);
        top_addr_q <= AddrWidth'(FirstTop * RowWords);
      end else if (step) begin
        word_q <= word_d;
        if (frame_end) begin
          word_q     <= RowLeft;
          left_q     <= RowLeft;
          row_q      <= FrameTop;
          top_q      <= FrameTop;
          above_q    <= from_base(FrameTop);
          row_addr_q <= top_addr_d;
          top_addr_q <= top_addr_d;
        end else if (row_end) begin
          word_q     <= RowLeft;
          left_q     <= RowLeft;
          row_q      <= next_top;
          top_q      <= next_top;
          above_q    <= from_base(next_top);
          row_addr_q <= top_addr_d;
          top_addr_q <= top_addr_d;
        end else if (window_end) begin
          word_q     <= left_q + WordWidth'(StrideColumns * PixelWords);
          left_q     <= left_q + WordWidth'(StrideColumns * PixelWords);
          row_q      <= top_q;
          above_q    <= from_base(top_q);
          row_addr_q <= top_addr_q;
        end else if (round_end) begin
          row_q      <= top_q;
          above_q    <= from_base(top_q);
          row_addr_q <= top_addr_q;
        end else if (tap_row_end) begin
          word_q     <= tap_row_d;
          row_q      <= row_q + RowWidth'(Apart);
          above_q    <= above_q + AheadWidth'(Apart);
          row_addr_q <= row_addr_d;
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
