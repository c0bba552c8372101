/// Joins the taps of a group of channels to one beat: element c*Taps + t of an output beat is element c of input beat t, of every
/// Taps input beats. Takes a beat every cycle, and gives one as soon as its last tap is in.
module tap_gather #(
    parameter int unsigned Taps     = 3,  // input beats for an output beat, 2 or more
    parameter int unsigned Channels = 4,  // elements an input beat
    parameter int unsigned Bits     = 1   // bits an element
) (
    input  logic                          clk_i,
    input  logic                          rst_ni,       // throws away a partial beat
    input  logic [     Channels*Bits-1:0] in_data_i,    // Channels elements of a tap
    input  logic                          in_valid_i,
    output logic                          in_ready_o,
    output logic [Taps*Channels*Bits-1:0] out_data_o,   // Channels times Taps elements
    output logic                          out_valid_o,
    input  logic                          out_ready_i
);
  logic [Taps*Channels*Bits-1:0] taps;  // the first one in the low bits

  width_converter #(
      .InElements (1),
      .OutElements(Taps),
      .Bits       (Channels * Bits)
  ) i_collect (
      .clk_i,
      .rst_ni,
      .in_data_i,
      .in_valid_i,
      .in_ready_o,
      .out_data_o(taps),
      .out_valid_o,
      .out_ready_i
  );

  for (genvar c = 0; c < Channels; c++) begin : gen_channel
    for (genvar t = 0; t < Taps; t++) begin : gen_tap
      assign out_data_o[(c*Taps+t)*Bits+:Bits] = taps[(t*Channels+c)*Bits+:Bits];
    end
  end
endmodule
