/// What a module must prove of a stream that goes out: a beat that was offered and not taken is offered again, with the same data.
module stream_prove #(
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

  always_comb begin
    if (rst_ni && waiting_q) begin
      assert (valid_i);
      assert (data_i == data_q);
    end
  end
endmodule
