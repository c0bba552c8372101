/// Joins the taps of a group of channels to one beat: element c*Taps + t of an output beat is element c of input beat t, of every
/// Taps input beats. Takes a beat every cycle, and gives one as soon as its last tap is in.
///
/// Ports: stream `in` (Channels elements of Bits), stream `out` (Channels * Taps elements of Bits).
module tap_gather #(
    parameter int unsigned Taps     = 3,  // input beats for an output beat, 2 or more
    parameter int unsigned Channels = 4,  // elements an input beat
    parameter int unsigned Bits     = 1   // bits an element
) (
    input  logic                          clk_i,
    input  logic                          rst_ni,
    input  logic [     Channels*Bits-1:0] in_data_i,
    input  logic                          in_valid_i,
    output logic                          in_ready_o,
    output logic [Taps*Channels*Bits-1:0] out_data_o,
    output logic                          out_valid_o,
    input  logic                          out_ready_i
);

  localparam int unsigned TapBits   = Channels * Bits;
  localparam int unsigned CountBits = $clog2(Taps + 1);

  logic [Taps*TapBits-1:0] taps_q;   // the first one in the low bits, once all are there
  logic [   CountBits-1:0] count_q;
  logic full, shift;

  assign full        = count_q == CountBits'(Taps);
  assign in_ready_o  = !full || out_ready_i;
  assign out_valid_o = full;
  assign shift       = in_valid_i && in_ready_o;

  always_ff @(posedge clk_i) begin
    if (shift) taps_q <= {in_data_i, taps_q[Taps*TapBits-1:TapBits]};

    if (!rst_ni) count_q <= CountBits'(0);
    else if (full && out_ready_i) count_q <= CountBits'(shift);
    else if (shift) count_q <= count_q + CountBits'(1);
  end

  for (genvar c = 0; c < Channels; c++) begin : gen_channel
    for (genvar t = 0; t < Taps; t++) begin : gen_tap
      assign out_data_o[(c*Taps+t)*Bits+:Bits] = taps_q[t*TapBits+c*Bits+:Bits];
    end
  end

endmodule
