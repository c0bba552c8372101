/// Scales integers per channel: `out[c] = saturate((multiplier[c] * in[c] + offset[c]) >>> Shift)`, the activation of an engine's sums.
///
/// The shift rounds down, or as shift_saturate says; the saturation is to OutBits signed bits. AccBits must hold the exact values: they wrap. The files have
/// Words words of P numbers, element i of word w for channel w*P + i. With Positions the multipliers depend on the pixel, too: they have
/// Positions sets of Words words, and position_table says which set a pixel has. A beat then comes every second cycle at most.
///
/// A register behind the product, as in a DSP slice, and two behind the result, which cut the ready of the output.
module multiply_shift #(
    parameter int unsigned P              = 1,   // elements a beat
    parameter int unsigned Words          = 1,   // groups of P channels
    parameter int unsigned Beats          = 1,   // beats of a group that follow each other: 1 in pixel order
    parameter int unsigned InBits         = 16,  // of an input, signed
    parameter int unsigned MultiplierBits = 8,   // of a multiplier, signed
    parameter int unsigned AccBits        = 24,  // of an offset, and of what is shifted
    parameter int unsigned Shift          = 0,   // right shift before the saturation, less than AccBits
    parameter int unsigned Even           = 0,   // 1: halves, which the offsets add, go to the even neighbour
    parameter int unsigned OutBits        = 8,   // of an output, signed
    parameter int unsigned Positions      = 0,   // sets of multipliers; 0: one for all pixels
    parameter int unsigned Rows           = 1,   // of the map, with Positions
    parameter int unsigned Columns        = 1,   // of the map, with Positions
    parameter              MultiplierFile = "",  // for $readmemh
    parameter              OffsetFile     = "",  // for $readmemh
    parameter              RowFile        = "",  // for $readmemh, with Positions
    parameter              ColumnFile     = ""   // for $readmemh, with Positions
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,       // back to the first channels
    input  logic [ P*InBits-1:0] in_data_i,    // P integers
    input  logic                 in_valid_i,
    output logic                 in_ready_o,
    output logic [P*OutBits-1:0] out_data_o,   // P results
    output logic                 out_valid_o,
    input  logic                 out_ready_i
);
  logic product_valid, out_free;
  logic [P*MultiplierBits-1:0] multipliers;
  logic [       P*AccBits-1:0] offsets;
  logic [       P*OutBits-1:0] results;

  stream_stage i_product (
      .clk_i,
      .rst_ni,
      .in_valid_i,
      .in_ready_o,
      .out_valid_o(product_valid),
      .out_ready_i(out_free)
  );

  if (Positions == 0) begin : gen_channels
    channel_table #(
        .Words      (Words),
        .Width      (P * MultiplierBits),
        .File       (MultiplierFile),
        .MemoryStyle("distributed"),
        .Beats      (Beats)
    ) i_multipliers (
        .clk_i,
        .rst_ni,
        .step_i(in_valid_i && in_ready_o),
        .word_o(multipliers)
    );
  end else begin : gen_positions
    position_table #(
        .Rows      (Rows),
        .Columns   (Columns),
        .Blocks    (Words),
        .Words     (Positions * Words),
        .Width     (P * MultiplierBits),
        .File      (MultiplierFile),
        .RowFile   (RowFile),
        .ColumnFile(ColumnFile)
    ) i_multipliers (
        .clk_i,
        .rst_ni,
        .step_i(in_valid_i && in_ready_o),
        .word_o(multipliers)
    );
  end

  channel_table #(
      .Words      (Words),
      .Width      (P * AccBits),
      .File       (OffsetFile),
      .MemoryStyle("distributed"),
      .Beats      (Beats)
  ) i_offsets (
      .clk_i,
      .rst_ni,
      .step_i(product_valid && out_free),
      .word_o(offsets)
  );

  for (genvar i = 0; i < P; i++) begin : gen_element
    logic signed [MultiplierBits-1:0] multiplier;
    logic signed [InBits-1:0] number;
    logic signed [AccBits-1:0] product_q, scaled;

    // No module of its own: the DSP slice that multiplies has the registers and adds the offset, too.
    assign multiplier = multipliers[i*MultiplierBits+:MultiplierBits];
    assign number     = in_data_i[i*InBits+:InBits];
    always_ff @(posedge clk_i) if (in_ready_o) product_q <= AccBits'(multiplier) * AccBits'(number);
    assign scaled = product_q + offsets[i*AccBits+:AccBits];

    shift_saturate #(
        .InBits (AccBits),
        .Shift  (Shift),
        .Even   (Even),
        .OutBits(OutBits)
    ) i_shift (
        .value_i(scaled),
        .value_o(results[i*OutBits+:OutBits])
    );
  end

  stream_slice #(
      .Width(P * OutBits)
  ) i_out (
      .clk_i,
      .rst_ni,
      .in_data_i (results),
      .in_valid_i(product_valid),
      .in_ready_o(out_free),
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );
endmodule
