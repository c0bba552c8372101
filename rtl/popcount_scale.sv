/// Scales counts by an integer multiplier per channel: `out = saturate((multiplier * count + offset) >>> Shift)` to OutBits.
///
/// The shift rounds down. What a count stands for (s = 2p - n, say) is in the constants: m*s + b = (2m)*p + (b - m*n). The product
/// is registered, as in a DSP slice, and so is the result: two cycles from `in` to `out`, a beat a cycle.
module popcount_scale #(
    parameter int unsigned Pe             = 1,   // counts a beat
    parameter int unsigned CountBits      = 7,   // bits of a count
    parameter int unsigned MultiplierBits = 8,   // bits of a multiplier, signed
    parameter int unsigned OffsetBits     = 16,  // bits of an offset, signed
    parameter int unsigned Shift          = 4,   // right shift before the saturation
    parameter int unsigned OutBits        = 8,   // bits of a result
    parameter int unsigned Words          = 1,   // groups of Pe channels
    parameter int unsigned Beats          = 1,   // beats of a group that follow each other: 1 in pixel order
    parameter              MultiplierFile = "",  // Words words of Pe multipliers
    parameter              OffsetFile     = ""   // Words words of Pe offsets
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,       // back to the first channels
    input  logic [Pe*CountBits-1:0] in_data_i,    // Pe unsigned counts
    input  logic                    in_valid_i,
    output logic                    in_ready_o,
    output logic [  Pe*OutBits-1:0] out_data_o,   // Pe signed results
    output logic                    out_valid_o,
    input  logic                    out_ready_i
);
  localparam int unsigned ProductBits = CountBits + MultiplierBits;
  localparam int unsigned SumBits     = (ProductBits > OffsetBits ? ProductBits : OffsetBits) + 1;
  localparam int unsigned ShiftedBits = SumBits > Shift ? SumBits - Shift : 1;

  logic [Pe*MultiplierBits-1:0] multipliers;
  logic [    Pe*OffsetBits-1:0] offsets;
  logic [       Pe*OutBits-1:0] results;
  logic product_valid, out_free;

  channel_table #(
      .Words      (Words),
      .Width      (Pe * MultiplierBits),
      .File       (MultiplierFile),
      .MemoryStyle("distributed"),
      .Beats      (Beats)
  ) i_multipliers (
      .clk_i,
      .rst_ni,
      .step_i(in_valid_i && in_ready_o),
      .word_o(multipliers)
  );

  stream_stage i_product (
      .clk_i,
      .rst_ni,
      .in_valid_i,
      .in_ready_o,
      .out_valid_o(product_valid),
      .out_ready_i(out_free)
  );

  channel_table #(
      .Words      (Words),
      .Width      (Pe * OffsetBits),
      .File       (OffsetFile),
      .MemoryStyle("distributed"),
      .Beats      (Beats)
  ) i_offsets (
      .clk_i,
      .rst_ni,
      .step_i(product_valid && out_free),
      .word_o(offsets)
  );

  for (genvar e = 0; e < Pe; e++) begin : gen_pe
    logic signed [MultiplierBits-1:0] multiplier;
    logic signed [   ProductBits-1:0] product_q;
    logic signed [    OffsetBits-1:0] offset;
    logic signed [       SumBits-1:0] sum;

    assign multiplier = multipliers[e*MultiplierBits+:MultiplierBits];
    assign offset     = offsets[e*OffsetBits+:OffsetBits];
    assign sum        = SumBits'(product_q) + SumBits'(offset);

    always_ff @(posedge clk_i)
      if (in_ready_o) product_q <= ProductBits'(multiplier) * ProductBits'($signed({1'b0, in_data_i[e*CountBits+:CountBits]}));

    saturate #(
        .InBits (ShiftedBits),
        .OutBits(OutBits)
    ) i_saturate (
        .value_i(ShiftedBits'(sum >>> Shift)),
        .value_o(results[e*OutBits+:OutBits])
    );
  end

  stream_slice #(
      .Width(Pe * OutBits)
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
