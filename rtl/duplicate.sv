/// Copies a stream to two consumers. Each takes a beat when it is ready, without waiting for the other (an eager fork); the input
/// moves on when both have it. There is no data register.
module duplicate #(
    parameter int unsigned Width = 8  // bits of a beat
) (
    input  logic             clk_i,
    input  logic             rst_ni,        // both consumers want the beat that the input offers
    input  logic [Width-1:0] in_data_i,     // a beat
    input  logic             in_valid_i,
    output logic             in_ready_o,
    output logic [Width-1:0] out0_data_o,   // in_data_i, for one consumer
    output logic             out0_valid_o,
    input  logic             out0_ready_i,
    output logic [Width-1:0] out1_data_o,   // in_data_i, for the other
    output logic             out1_valid_o,
    input  logic             out1_ready_i
);
  logic done0_q, done1_q;  // this consumer has the beat that the input still offers
  logic done0_d, done1_d;

  assign out0_data_o  = in_data_i;
  assign out1_data_o  = in_data_i;
  assign out0_valid_o = in_valid_i && !done0_q;
  assign out1_valid_o = in_valid_i && !done1_q;

  assign done0_d = done0_q || out0_ready_i;
  assign done1_d = done1_q || out1_ready_i;
  assign in_ready_o = done0_d && done1_d;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || !in_valid_i || in_ready_o) begin
      done0_q <= 1'b0;
      done1_q <= 1'b0;
    end else begin
      done0_q <= done0_d;
      done1_q <= done1_d;
    end
  end
endmodule
