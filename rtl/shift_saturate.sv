/// Shifts a signed number right and fits it into OutBits: the nearest number that they hold. Combinational.
///
/// The shift rounds down. To round to the nearest, half of what is dropped is in the number already; a number that was halfway then has
/// nothing but zeros to drop, and with Even it goes to the even neighbour: the last bit of the result is cleared.
module shift_saturate #(
    parameter int unsigned InBits  = 24,  // bits of the number
    parameter int unsigned Shift   = 8,   // bits that are dropped, less than InBits
    parameter int unsigned Even    = 0,   // 1: what drops only zeros goes to an even result; for a Shift of at least 1
    parameter int unsigned OutBits = 8    // bits of the result
) (
    input  logic [ InBits-1:0] value_i,  // signed
    output logic [OutBits-1:0] value_o   // signed
);
  localparam int unsigned ShiftedBits = InBits > Shift ? InBits - Shift : 1;
  localparam int unsigned DroppedBits = Shift > 0 ? Shift : 1;

  // synthesis translate_off
  initial begin
    if (Shift >= InBits) $fatal(1, "shift_saturate: Shift %0d is not less than InBits %0d", Shift, InBits);
    if (Even > 1 || (Even == 1 && Shift == 0)) $fatal(1, "shift_saturate: Even is %0d with a Shift of %0d", Even, Shift);
  end
  // synthesis translate_on

  logic [ShiftedBits-1:0] shifted, rounded;

  assign shifted = ShiftedBits'($signed(value_i) >>> Shift);

  always_comb begin
    rounded = shifted;
    if (Even != 0 && !(|value_i[DroppedBits-1:0])) rounded[0] = 1'b0;
  end

  saturate #(
      .InBits (ShiftedBits),
      .OutBits(OutBits)
  ) i_saturate (
      .value_i(rounded),
      .value_o
  );
endmodule
