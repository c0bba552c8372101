/// The handshake of a register stage: it takes a beat while it is empty or its own beat leaves, so that beats pass at one a cycle.
/// The data registers are outside (in a memory, in a DSP slice) and load while in_ready_o is up; stream_register has one inside.
module stream_stage (
    input  logic clk_i,
    input  logic rst_ni,       // empties the stage
    input  logic in_valid_i,   // a beat for the data registers
    output logic in_ready_o,   // they load
    output logic out_valid_o,  // they hold a beat
    input  logic out_ready_i
);
  logic valid_q;

  assign in_ready_o  = !valid_q || out_ready_i;
  assign out_valid_o = valid_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else if (in_ready_o) valid_q <= in_valid_i;
  end
endmodule
