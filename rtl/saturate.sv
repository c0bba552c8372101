/// Fits a signed number into OutBits: one that is out of range becomes the nearest that is not. Combinational; with as many bits as
/// before, or more, it is a sign extension.
module saturate #(
    parameter int unsigned InBits  = 9,  // bits of the number
    parameter int unsigned OutBits = 8   // bits of the result
) (
    input  logic [ InBits-1:0] value_i,  // signed
    output logic [OutBits-1:0] value_o   // signed
);
  if (OutBits < InBits) begin : gen_saturate
    logic sign, fits;
    assign sign    = value_i[InBits-1];
    assign fits    = value_i[InBits-1:OutBits-1] == {(InBits - OutBits + 1) {sign}};
    assign value_o = fits ? value_i[OutBits-1:0] : {sign, {(OutBits - 1) {!sign}}};
  end else begin : gen_extend
    assign value_o = OutBits'($signed(value_i));
  end
endmodule
