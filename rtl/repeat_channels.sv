/// The channels of every pixel Times times: the first round passes the pixel's beats on and keeps them, the later ones replay
/// them while the input waits. A beat leaves every cycle, the first one a cycle behind the input.
module repeat_channels #(
    parameter int unsigned Channels = 8,  // channels of an input pixel, a multiple of P
    parameter int unsigned P        = 1,  // elements a beat
    parameter int unsigned Bits     = 8,  // bits an element
    parameter int unsigned Times    = 2   // rounds
) (
    input  logic              clk_i,
    input  logic              rst_ni,       // back to the first beat of a pixel
    input  logic [P*Bits-1:0] in_data_i,    // P elements
    input  logic              in_valid_i,
    output logic              in_ready_o,
    output logic [P*Bits-1:0] out_data_o,   // P elements
    output logic              out_valid_o,
    input  logic              out_ready_i
);
  localparam int unsigned Beats = Channels / P;
  localparam int unsigned AddressBits = Beats * Times > 1 ? $clog2(Beats * Times) : 1;

  // synthesis translate_off
  initial begin
    if (Beats * P != Channels) $fatal(1, "repeat_channels: P = %0d does not divide %0d channels", P, Channels);
    if (Times == 0) $fatal(1, "repeat_channels: Times is 0, must be at least 1");
  end
  // synthesis translate_on

  logic [AddressBits-1:0] address;
  logic first, last, unused;
  assign unused = (&address) & first & last;

  window_replay #(
      .Width (P * Bits),
      .Beats (Beats),
      .Passes(Times)
  ) i_pixel (
      .clk_i,
      .rst_ni,
      .in_data_i,
      .in_valid_i,
      .in_ready_o,
      .stall_i  (out_valid_o && !out_ready_i),
      .address_o(address),
      .data_o   (out_data_o),
      .valid_o  (out_valid_o),
      .first_o  (first),
      .last_o   (last)
  );
endmodule
