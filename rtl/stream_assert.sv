/// Stops a simulation where a stream breaks its protocol: a beat that was offered and not taken must be offered again, with the same
/// data, and after reset valid is never X. Simulations only: flow/sim/module.py binds it to a module, an accelerator_top instantiates
/// it under FLOW_TAPS.
module stream_assert #(
    parameter int unsigned Width = 8,        // bits of a beat
    parameter              Name  = "stream"  // for the message
) (
    input logic             clk_i,
    input logic             rst_ni,   // what was offered is forgotten, and nothing is checked
    input logic [Width-1:0] data_i,   // the stream, both ways
    input logic             valid_i,  // a beat is offered
    input logic             ready_i   // it is taken
);
  logic waiting_q;           // a beat was offered in the last cycle, and not taken
  logic [Width-1:0] data_q;  // of the first cycle in which it was offered

  always_ff @(posedge clk_i) begin
    waiting_q <= rst_ni && valid_i && !ready_i;
    if (valid_i && !ready_i && !waiting_q) data_q <= data_i;

    if (rst_ni) begin
      if ($isunknown(valid_i)) $error("%0s has a valid of X", Name);
      if (waiting_q) begin  // nested: an idle stream costs no comparison
        if (!valid_i) $error("%0s dropped valid before ready", Name);
        else if (data_i != data_q) $error("%0s changed its data before ready", Name);
      end
    end
  end
endmodule
