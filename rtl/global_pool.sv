/// Global pooling: out[c] = saturate(sum >>> Shift), or, where Scaled, saturate((multiplier[c] * sum + bias[c]) >>> Shift), of the sum
/// of channel c over the Pixels pixels; one pixel out. Over 2^k pixels a Shift of k is their mean, rounded down; 0 leaves the sum.
///
/// The map is a window of one row for pool_buffer: its first pixel starts the sums, the last one completes them. The files have
/// Channels/P words of P constants, element i of word b for channel b*P + i. AccBits must hold the exact values: they wrap.
///
/// Rate: an input beat every cycle; only the beats of the last pixel, Channels/P of them, ever wait for the output.
module global_pool #(
    parameter int unsigned Pixels         = 16,              // of the map
    parameter int unsigned Channels       = 512,             // of the map
    parameter int unsigned P              = 4,               // elements a beat, divides Channels
    parameter int unsigned Bits           = 10,              // bits of an element: signed, or bipolar where 1
    parameter int unsigned Shift          = $clog2(Pixels),  // right shift before the saturation
    parameter int unsigned OutBits        = Bits,            // bits of an output, signed
    parameter int unsigned Scaled         = 0,               // 1: there are multipliers and biases
    parameter int unsigned Even           = 0,               // 1: halves, which the biases add, go to the even neighbour; where Scaled
    parameter int unsigned AccBits        = 24,              // of a bias and of what is shifted, where Scaled
    parameter int unsigned MultiplierBits = 8,               // of a multiplier, signed
    parameter              MultiplierFile = "",              // for $readmemh, where Scaled
    parameter              BiasFile       = ""               // for $readmemh, where Scaled
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,       // back to the start of a map
    input  logic [   P*Bits-1:0] in_data_i,    // P elements of the map, NHWC
    input  logic                 in_valid_i,
    output logic                 in_ready_o,
    output logic [P*OutBits-1:0] out_data_o,   // P elements of the pixel
    output logic                 out_valid_o,
    input  logic                 out_ready_i
);
  localparam int unsigned TermBits    = Bits == 1 ? 2 : Bits;
  localparam int unsigned SumBits     = TermBits + $clog2(Pixels);
  localparam int unsigned ResultBits  = Scaled != 0 ? SumBits : OutBits;  // of what leaves the buffer

  // synthesis translate_off
  initial begin
    if (P == 0 || Channels % P != 0)
      $fatal(1, "global_pool: P (%0d) must divide Channels (%0d)", P, Channels);
    if (Pixels == 0) $fatal(1, "global_pool: Pixels is 0");
  end
  // synthesis translate_on

  logic first, result_valid, result_ready;
  logic [P*ResultBits-1:0] completed, result;
  logic [P*SumBits-1:0] partial, sum;

  pool_buffer #(
      .Words        (Channels / P),
      .Windows      (1),
      .WindowRows   (1),
      .WindowColumns(Pixels),
      .PartialWidth (P * SumBits),
      .OutWidth     (P * ResultBits)
  ) i_buffer (
      .clk_i,
      .rst_ni,
      .in_valid_i,
      .in_ready_o,
      .first_o    (first),
      .partial_o  (partial),
      .partial_i  (sum),
      .result_i   (completed),
      .out_data_o (result),
      .out_valid_o(result_valid),
      .out_ready_i(result_ready)
  );

  for (genvar i = 0; i < P; i++) begin : gen_sum
    logic signed [TermBits-1:0] term;
    logic signed [SumBits-1:0] start;

    if (Bits == 1) begin : gen_sign
      assign term = {!in_data_i[i], 1'b1};
    end else begin : gen_element
      assign term = in_data_i[i*Bits+:Bits];
    end
    assign start = first ? '0 : partial[i*SumBits+:SumBits];
    assign sum[i*SumBits+:SumBits] = start + SumBits'(term);
  end

  if (Scaled != 0) begin : gen_scaled
    assign completed = sum;

    multiply_shift #(
        .P             (P),
        .Words         (Channels / P),
        .InBits        (SumBits),
        .MultiplierBits(MultiplierBits),
        .AccBits       (AccBits),
        .Shift         (Shift),
        .Even          (Even),
        .OutBits       (OutBits),
        .MultiplierFile(MultiplierFile),
        .OffsetFile    (BiasFile)
    ) i_scale (
        .clk_i,
        .rst_ni,
        .in_data_i (result),
        .in_valid_i(result_valid),
        .in_ready_o(result_ready),
        .out_data_o,
        .out_valid_o,
        .out_ready_i
    );
  end else begin : gen_plain
    for (genvar i = 0; i < P; i++) begin : gen_result
      shift_saturate #(
          .InBits (SumBits),
          .Shift  (Shift),
          .OutBits(OutBits)
      ) i_shift (
          .value_i(sum[i*SumBits+:SumBits]),
          .value_o(completed[i*OutBits+:OutBits])
      );
    end
    assign out_data_o   = result;
    assign out_valid_o  = result_valid;
    assign result_ready = out_ready_i;
  end

endmodule
