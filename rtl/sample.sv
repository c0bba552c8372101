/// Keeps every Ratio-th channel, from channel 0 on: element Ratio*i of the input beat is element i of the output beat. It is
/// wires only.
module sample #(
    parameter int unsigned P     = 8,  // elements of an input beat, a multiple of Ratio
    parameter int unsigned Bits  = 1,  // bits an element
    parameter int unsigned Ratio = 2   // channels for each one that is kept
) (
    input  logic                    clk_i,        // not used: every node has the same ports
    input  logic                    rst_ni,       // not used
    input  logic [      P*Bits-1:0] in_data_i,    // P elements
    input  logic                    in_valid_i,
    output logic                    in_ready_o,
    output logic [P/Ratio*Bits-1:0] out_data_o,   // every Ratio-th of them
    output logic                    out_valid_o,
    input  logic                    out_ready_i
);
  // synthesis translate_off
  initial if (P % Ratio != 0) $fatal(1, "sample: Ratio = %0d does not divide the %0d elements of a beat", Ratio, P);
  // synthesis translate_on

  logic unused;
  assign unused = clk_i & rst_ni & (&in_data_i);

  for (genvar i = 0; i < P / Ratio; i++) begin : gen_element
    assign out_data_o[i*Bits+:Bits] = in_data_i[i*Ratio*Bits+:Bits];
  end
  assign out_valid_o = in_valid_i;
  assign in_ready_o  = out_ready_i;
endmodule
