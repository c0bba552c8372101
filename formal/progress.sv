/// Proves that nothing waits forever: with a consumer that is ready, a beat that is complete inside is offered after at most
/// OutWait cycles, and the input is ready after at most InWait.
module progress #(
    parameter int unsigned OutWait = 0,  // cycles
    parameter int unsigned InWait  = 0   // cycles
) (
    input logic clk_i,
    input logic rst_ni,
    input logic complete_i,   // a beat is complete inside
    input logic in_ready_i,   // of the input
    input logic out_valid_i,  // of the output
    input logic out_ready_i
);
  logic [3:0] out_wait_q = 4'd0, in_wait_q = 4'd0;  // cycles so far

  always_ff @(posedge clk_i) begin
    out_wait_q <= rst_ni && out_ready_i && complete_i && !out_valid_i ? out_wait_q + 4'd1 : 4'd0;
    in_wait_q  <= rst_ni && out_ready_i && !in_ready_i ? in_wait_q + 4'd1 : 4'd0;
  end

  always_comb begin
    if (rst_ni && out_ready_i) begin
      assert (out_valid_i || !complete_i || out_wait_q < OutWait);
      assert (in_ready_i || in_wait_q < InWait);
    end
  end
endmodule
