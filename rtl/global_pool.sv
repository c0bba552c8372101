/// Global average pooling: out[c] = (sum over the Pixels pixels of channel c) >>> log2(Pixels), rounded down; one pixel out.
///
/// The map is a window of one row for pool_buffer: its first pixel starts the sums, the last one completes them.
///
/// Rate: an input beat every cycle; only the beats of the last pixel, Channels/P of them, ever wait for the output.
module global_pool #(
    parameter int unsigned Pixels   = 16,   // of the map, a power of two
    parameter int unsigned Channels = 512,  // of the map
    parameter int unsigned P        = 4,    // elements a beat, divides Channels
    parameter int unsigned Bits     = 10    // bits of a signed element, in and out
) (
    input  logic              clk_i,
    input  logic              rst_ni,       // back to the start of a map
    input  logic [P*Bits-1:0] in_data_i,    // P elements of the map, NHWC
    input  logic              in_valid_i,
    output logic              in_ready_o,
    output logic [P*Bits-1:0] out_data_o,   // P elements of the pixel
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

  localparam int unsigned Shift = $clog2(Pixels);
  localparam int unsigned SumBits = Bits + Shift;

  logic first;
  logic [P*Bits-1:0] mean;
  logic [P*SumBits-1:0] partial, sum;

  pool_buffer #(
      .Words        (Channels / P),
      .Windows      (1),
      .WindowRows   (1),
      .WindowColumns(Pixels),
      .PartialWidth (P * SumBits),
      .OutWidth     (P * Bits)
  ) i_buffer (
      .clk_i,
      .rst_ni,
      .in_valid_i,
      .in_ready_o,
      .first_o  (first),
      .partial_o(partial),
      .partial_i(sum),
      .result_i (mean),
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );

  for (genvar i = 0; i < P; i++) begin : gen_sum
    logic signed [Bits-1:0] element;
    logic signed [SumBits-1:0] start;

    assign element = in_data_i[i*Bits+:Bits];
    assign start   = first ? '0 : partial[i*SumBits+:SumBits];

    assign sum[i*SumBits+:SumBits] = start + SumBits'(element);
    assign mean[i*Bits+:Bits]      = sum[i*SumBits+Shift+:Bits];
  end

endmodule
