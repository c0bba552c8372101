/// Global average pooling: out[c] = (sum over the Pixels pixels of channel c) >>> log2(Pixels), rounded down; one pixel out.
///
/// The first pixel of a frame starts the sums, kept in a buffer of Channels/P words; the last one completes them and goes
/// straight to the output register, so that the next frame can start at once.
///
/// Rate: an input beat every cycle; only the beats of the last pixel, Channels/P of them, ever wait for the output.
///
/// Parameters
///   Pixels:   pixels of the map; a power of two
///   Channels: channels of the map
///   P:        elements a beat; divides Channels
///   Bits:     bits an element, signed, in and out
/// Ports
///   clk_i, rst_ni: clock; synchronous reset, active low
///   in_*:  the map, P elements a beat, NHWC
///   out_*: the pixel, P elements a beat
module global_pool #(
    parameter int unsigned Pixels = 16,
    parameter int unsigned Channels = 512,
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
      $fatal(1, "global_pool: P (%0d) must divide Channels (%0d)", P, Channels);
    if (Pixels == 0 || (Pixels & (Pixels - 1)) != 0)
      $fatal(1, "global_pool: Pixels is %0d, must be a power of two", Pixels);
  end
  // synthesis translate_on

  localparam int unsigned Words = Channels / P;
  localparam int unsigned Shift = $clog2(Pixels);
  localparam int unsigned SumBits = Bits + Shift;
  localparam int unsigned WordWidth = Words > 1 ? $clog2(Words) : 1;
  localparam int unsigned PixelWidth = Pixels > 1 ? Shift : 1;

  logic [WordWidth-1:0] word_q;
  logic [PixelWidth-1:0] pixel_q;
  logic first, last, take;

  assign first = pixel_q == '0;
  assign last  = pixel_q == PixelWidth'(Pixels - 1);

  logic out_valid_q;
  logic [P*Bits-1:0] mean, out_data_q;
  logic [P*SumBits-1:0] partial, sum;

  assign in_ready_o = !last || !out_valid_q || out_ready_i;
  assign take       = in_valid_i && in_ready_o;

  (* ram_style = "distributed" *)
  logic [P*SumBits-1:0] sums[Words];

  assign partial = sums[word_q];

  for (genvar i = 0; i < P; i++) begin : gen_sum
    logic signed [Bits-1:0] element;
    logic signed [SumBits-1:0] start;

    assign element = in_data_i[i*Bits+:Bits];
    assign start   = first ? '0 : partial[i*SumBits+:SumBits];

    assign sum[i*SumBits+:SumBits] = start + SumBits'(element);
    assign mean[i*Bits+:Bits]      = sum[i*SumBits+Shift+:Bits];
  end

  always_ff @(posedge clk_i) begin
    if (take) sums[word_q] <= sum;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      word_q  <= '0;
      pixel_q <= '0;
    end else if (take) begin
      if (word_q == WordWidth'(Words - 1)) begin
        word_q  <= '0;
        pixel_q <= last ? '0 : pixel_q + 1'b1;
      end else begin
        word_q <= word_q + 1'b1;
      end
    end
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
