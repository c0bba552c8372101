/// The reset of a proof: up in the first cycle, and at any time after it. Before the first clock edge registers may hold anything.
module reset (
    input  logic clk_i,
    input  logic rst_ni,
    output logic started_o  // there was a cycle with reset
);
  logic started_q = 1'b0;
  assign started_o = started_q;

  always_ff @(posedge clk_i) started_q <= 1'b1;

  always_comb if (!started_q) assume (!rst_ni);
endmodule
