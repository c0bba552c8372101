/// Adds two streams element by element: out = saturate_Bits(a + b). A beat is taken from both at once, so each one's ready waits
/// for the other's valid; the sum is registered.
module add_streams #(
    parameter int unsigned P    = 1,  // elements a beat
    parameter int unsigned Bits = 8   // bits of a signed element, in and out
) (
    input  logic              clk_i,
    input  logic              rst_ni,
    input  logic [P*Bits-1:0] a_data_i,
    input  logic              a_valid_i,
    output logic              a_ready_o,
    input  logic [P*Bits-1:0] b_data_i,
    input  logic              b_valid_i,
    output logic              b_ready_o,
    output logic [P*Bits-1:0] out_data_o,
    output logic              out_valid_o,
    input  logic              out_ready_i
);
  logic [P*Bits-1:0] sum_d, sum_q;
  logic valid_q, free;

  assign free = !valid_q || out_ready_i;
  assign a_ready_o = free && b_valid_i;
  assign b_ready_o = free && a_valid_i;
  assign out_data_o = sum_q;
  assign out_valid_o = valid_q;

  for (genvar i = 0; i < P; i++) begin : gen_element
    logic signed [Bits-1:0] a, b;
    logic [Bits:0] wide;
    assign a = a_data_i[i*Bits+:Bits];
    assign b = b_data_i[i*Bits+:Bits];
    assign wide = {a[Bits-1], a} + {b[Bits-1], b};
    // The two top bits differ exactly when the sum does not fit; the topmost is then its sign.
    assign sum_d[i*Bits+:Bits] = wide[Bits] == wide[Bits-1] ? wide[Bits-1:0] : {wide[Bits], {(Bits - 1) {!wide[Bits]}}};
  end

  always_ff @(posedge clk_i) begin
    if (free) sum_q <= sum_d;
    if (!rst_ni) valid_q <= 1'b0;
    else if (free) valid_q <= a_valid_i && b_valid_i;
  end
endmodule
