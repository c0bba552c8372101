/// Average pooling, 2x2 with stride 2: out = (sum of the four elements) >>> 2, rounded down; one sum per channel.
///
/// The partial sums of one output row wait in a buffer of Width/2 * Channels/P words; the first element of a window starts its
/// sum, the last one completes it and goes straight to the output register.
///
/// Rate: an input beat every cycle while the output takes its beat (one in four); only a beat that completes a window ever waits.
///
/// Parameters
///   Height, Width: the input map; both even
///   Channels:      channels of the map
///   P:             elements a beat; divides Channels
///   Bits:          bits an element, signed, in and out
/// Ports
///   clk_i, rst_ni: clock; synchronous reset, active low
///   in_*:  the map, P elements a beat, NHWC
///   out_*: the map of Height/2 x Width/2, P elements a beat, NHWC
module avg_pool #(
    parameter int unsigned Height = 32,
    parameter int unsigned Width = 32,
    parameter int unsigned Channels = 64,
    parameter int unsigned P = 4,
    parameter int unsigned Bits = 10
) (
    input  logic              clk_i,
    input  logic              rst_ni,
    input  logic [P*Bits-1:0] in_data_i,
    input  logic              in_valid_i,
    output logic              in_ready_o,
    output logic [P*Bits-1:0] out_data_o,
    output logic              out_valid_o,
    input  logic              out_ready_i
);

  // synthesis translate_off
  initial begin
    if (P == 0 || Channels % P != 0)
      $fatal(1, "avg_pool: P (%0d) must divide Channels (%0d)", P, Channels);
    if (Height % 2 != 0 || Width % 2 != 0)
      $fatal(1, "avg_pool: the map is %0dx%0d, both sides must be even", Height, Width);
  end
  // synthesis translate_on

  localparam int unsigned PixelWords = Channels / P;
  localparam int unsigned Depth = Width / 2 * PixelWords;
  localparam int unsigned SumBits = Bits + 2;

  localparam int unsigned AddrWidth = Depth > 1 ? $clog2(Depth) : 1;
  localparam int unsigned WordWidth = PixelWords > 1 ? $clog2(PixelWords) : 1;

  // Address = pair_q + word_q: the columns 2k and 2k + 1 share the words of output column k.
  logic [WordWidth-1:0] word_q;
  logic [AddrWidth-1:0] pair_q, addr;
  logic odd_col_q, odd_row_q;
  logic take, first, last, pixel_end, pair_end, row_end;

  logic out_valid_q;
  logic [P*Bits-1:0] mean, out_data_q;
  logic [P*SumBits-1:0] partial, sum;

  assign first      = !odd_row_q && !odd_col_q;
  assign last       = odd_row_q && odd_col_q;
  assign in_ready_o = !last || !out_valid_q || out_ready_i;
  assign take       = in_valid_i && in_ready_o;
  assign pixel_end  = take && word_q == WordWidth'(PixelWords - 1);
  assign pair_end   = pixel_end && odd_col_q;
  assign row_end    = pair_end && pair_q == AddrWidth'(Depth - PixelWords);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      word_q    <= '0;
      odd_col_q <= 1'b0;
      pair_q    <= '0;
      odd_row_q <= 1'b0;
    end else begin
      if (take) word_q <= pixel_end ? '0 : word_q + 1'b1;
      if (pixel_end) odd_col_q <= !odd_col_q;
      if (pair_end) pair_q <= row_end ? '0 : pair_q + AddrWidth'(PixelWords);
      if (row_end) odd_row_q <= !odd_row_q;
    end
  end

  (* ram_style = "distributed" *)
  logic [P*SumBits-1:0] sums[Depth];

  assign addr    = pair_q + AddrWidth'(word_q);
  assign partial = sums[addr];

  for (genvar i = 0; i < P; i++) begin : gen_sum
    logic signed [Bits-1:0] element;
    logic signed [SumBits-1:0] start;

    assign element = in_data_i[i*Bits+:Bits];
    assign start   = first ? '0 : partial[i*SumBits+:SumBits];

    assign sum[i*SumBits+:SumBits] = start + SumBits'(element);
    assign mean[i*Bits+:Bits]      = sum[i*SumBits+2+:Bits];
  end

  always_ff @(posedge clk_i) begin
    if (take) sums[addr] <= sum;
  end

  always_ff @(posedge clk_i) begin
    if (take && last) out_data_q <= mean;
    if (!rst_ni) out_valid_q <= 1'b0;
    else if (take && last) out_valid_q <= 1'b1;
    else if (out_ready_i) out_valid_q <= 1'b0;
  end

  assign out_data_o  = out_data_q;
  assign out_valid_o = out_valid_q;

endmodule
