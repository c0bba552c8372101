/// Average pooling, 2x2 with stride 2: out = (sum of the four elements) >>> 2, rounded down; one sum per channel.
///
/// The first element of a window starts its sum, the last one completes it; in between it waits in pool_buffer.
///
/// Rate: an input beat every cycle while the output takes its beats (one in four); only those that complete a window ever wait.
module avg_pool #(
    parameter int unsigned Height   = 32,  // of the input map, even
    parameter int unsigned Width    = 32,  // of the input map, even
    parameter int unsigned Channels = 64,  // of the map
    parameter int unsigned P        = 4,   // elements a beat, divides Channels
    parameter int unsigned Bits     = 10   // bits of a signed element, in and out
) (
    input  logic              clk_i,
    input  logic              rst_ni,       // back to the start of a map
    input  logic [P*Bits-1:0] in_data_i,    // P elements of the map, NHWC
    input  logic              in_valid_i,
    output logic              in_ready_o,
    output logic [P*Bits-1:0] out_data_o,   // P elements of the map of Height/2 x Width/2
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

  localparam int unsigned SumBits = Bits + 2;

  logic first;
  logic [P*Bits-1:0] mean;
  logic [P*SumBits-1:0] partial, sum;

  pool_buffer #(
      .Words        (Channels / P),
      .Windows      (Width / 2),
      .WindowRows   (2),
      .WindowColumns(2),
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
    assign mean[i*Bits+:Bits]      = sum[i*SumBits+2+:Bits];
  end

endmodule
