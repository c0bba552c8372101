/// What a module may assume of a stream that comes in: a beat that was offered and not taken is offered again, with the same data.
module stream_assume #(
    parameter int unsigned Width = 8  // bits of a beat
) (
    input logic             clk_i,
    input logic             rst_ni,
    input logic [Width-1:0] data_i,   // the stream, both ways
    input logic             valid_i,
    input logic             ready_i
);
  logic waiting_q = 1'b0;
  logic [Width-1:0] data_q;

  always_ff @(posedge clk_i) begin
    waiting_q <= rst_ni && valid_i && !ready_i;
    data_q    <= data_i;
  end

  always_comb if (rst_ni && waiting_q) assume (valid_i && data_i == data_q);
endmodule
