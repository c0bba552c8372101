/// Adds two streams element by element: out = saturate(a + b). A beat is taken from both at once, so each one's ready waits for the
/// other's valid; the sums are registered.
module add_streams #(
    parameter int unsigned P    = 1,  // elements a beat
    parameter int unsigned Bits = 8   // bits of a signed element, in and out
) (
    input  logic              clk_i,
    input  logic              rst_ni,
    input  logic [P*Bits-1:0] a_data_i,     // P summands
    input  logic              a_valid_i,
    output logic              a_ready_o,
    input  logic [P*Bits-1:0] b_data_i,     // P summands
    input  logic              b_valid_i,
    output logic              b_ready_o,
    output logic [P*Bits-1:0] out_data_o,   // P sums
    output logic              out_valid_o,
    input  logic              out_ready_i
);
  logic [P*Bits-1:0] sums;
  logic free;

  assign a_ready_o = free && b_valid_i;
  assign b_ready_o = free && a_valid_i;

  for (genvar i = 0; i < P; i++) begin : gen_element
    logic signed [Bits-1:0] a, b;
    assign a = a_data_i[i*Bits+:Bits];
    assign b = b_data_i[i*Bits+:Bits];

    saturate #(
        .InBits (Bits + 1),
        .OutBits(Bits)
    ) i_saturate (
        .value_i((Bits + 1)'(a) + (Bits + 1)'(b)),
        .value_o(sums[i*Bits+:Bits])
    );
  end

  stream_slice #(
      .Width(P * Bits)
  ) i_out (
      .clk_i,
      .rst_ni,
      .in_data_i (sums),
      .in_valid_i(a_valid_i && b_valid_i),
      .in_ready_o(free),
      .out_data_o,
      .out_valid_o,
      .out_ready_i
  );
endmodule
