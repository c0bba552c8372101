/// Scales counts by an integer multiplier per channel: `out = saturate((multiplier * count + offset) >>> Shift)` to OutBits.
///
/// The shift rounds down. What a count stands for (s = 2p - n, say) is in the constants: m*s + b = (2m)*p + (b - m*n). The product
/// is registered, as in a DSP slice, and so is the result: two cycles from `in` to `out`, a beat a cycle.
///
/// Ports: stream `in` (Pe unsigned counts of CountBits), stream `out` (Pe signed elements of OutBits).
module popcount_scale #(
    parameter int unsigned Pe             = 1,   // counts a beat
    parameter int unsigned CountBits      = 7,   // width of a count
    parameter int unsigned MultiplierBits = 8,   // width of a multiplier, signed
    parameter int unsigned OffsetBits     = 16,  // width of an offset, signed
    parameter int unsigned Shift          = 4,   // right shift before the saturation
    parameter int unsigned OutBits        = 8,   // width of a result
    parameter int unsigned Words          = 1,   // groups of Pe channels
    parameter int unsigned Beats          = 1,   // beats of a group that follow each other: 1 in pixel order
    parameter              MultiplierFile = "",  // Words words of Pe multipliers
    parameter              OffsetFile     = ""   // Words words of Pe offsets
) (
    input  logic                    clk_i,
    input  logic                    rst_ni,      // back to the first channels
    input  logic [Pe*CountBits-1:0] in_data_i,
    input  logic                    in_valid_i,
    output logic                    in_ready_o,
    output logic [  Pe*OutBits-1:0] out_data_o,
    output logic                    out_valid_o,
    input  logic                    out_ready_i
);

  localparam int unsigned ProductBits = CountBits + MultiplierBits;
  localparam int unsigned SumBits     = (ProductBits > OffsetBits ? ProductBits : OffsetBits) + 1;
  localparam int unsigned ShiftedBits = SumBits > Shift ? SumBits - Shift : 1;

  logic [Pe*MultiplierBits-1:0] multipliers;
  logic [    Pe*OffsetBits-1:0] offsets;
  logic product_valid_q, out_valid_q, out_free;

  assign out_free    = !out_valid_q || out_ready_i;
  assign in_ready_o  = !product_valid_q || out_free;
  assign out_valid_o = out_valid_q;

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

  channel_table #(
      .Words      (Words),
      .Width      (Pe * OffsetBits),
      .File       (OffsetFile),
      .MemoryStyle("distributed"),
      .Beats      (Beats)
  ) i_offsets (
      .clk_i,
      .rst_ni,
      .step_i(product_valid_q && out_free),
      .word_o(offsets)
  );

  for (genvar e = 0; e < Pe; e++) begin : gen_pe
    logic signed [MultiplierBits-1:0] multiplier;
    logic signed [   ProductBits-1:0] product_q;
    logic signed [    OffsetBits-1:0] offset;
    logic signed [       SumBits-1:0] sum;
    logic signed [   ShiftedBits-1:0] shifted;
    logic        [       OutBits-1:0] out_d, out_q;

    assign multiplier = multipliers[e*MultiplierBits+:MultiplierBits];
    assign offset     = offsets[e*OffsetBits+:OffsetBits];
    assign sum        = SumBits'(product_q) + SumBits'(offset);
    assign shifted    = ShiftedBits'(sum >>> Shift);

    if (OutBits < ShiftedBits) begin : gen_saturate
      logic sign, fits;
      assign sign  = shifted[ShiftedBits-1];
      assign fits  = shifted[ShiftedBits-1:OutBits-1] == {(ShiftedBits - OutBits + 1) {sign}};
      assign out_d = fits ? shifted[OutBits-1:0] : {sign, {(OutBits - 1) {!sign}}};
    end else begin : gen_extend
      assign out_d = OutBits'(shifted);
    end

    always_ff @(posedge clk_i) begin
      if (in_ready_o) product_q <= ProductBits'(multiplier) * ProductBits'($signed({1'b0, in_data_i[e*CountBits+:CountBits]}));
      if (out_free) out_q <= out_d;
    end

    assign out_data_o[e*OutBits+:OutBits] = out_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      product_valid_q <= 1'b0;
      out_valid_q     <= 1'b0;
    end else begin
      if (in_ready_o) product_valid_q <= in_valid_i;
      if (out_free) out_valid_q <= product_valid_q;
    end
  end

endmodule
