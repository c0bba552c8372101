/// Two registers in a stream, which cut it: data, valid and ready all come from registers. A cycle of latency, a beat a cycle.
///
/// The second register takes the beat that is on its way when the consumer stops. stream_register is smaller, and lets ready through.
module stream_slice #(
    parameter int unsigned Width = 8  // bits of a beat
) (
    input  logic             clk_i,
    input  logic             rst_ni,       // drops the beats inside
    input  logic [Width-1:0] in_data_i,    // the stream before the slice
    input  logic             in_valid_i,
    output logic             in_ready_o,   // from a register
    output logic [Width-1:0] out_data_o,   // the stream after it
    output logic             out_valid_o,
    input  logic             out_ready_i
);
  logic [Width-1:0] data_q, spare_q;
  logic valid_q, spare_valid_q, move;

  assign in_ready_o  = !spare_valid_q;
  assign out_data_o  = data_q;
  assign out_valid_o = valid_q;
  assign move        = !valid_q || out_ready_i;  // the first register takes a beat: the spare one, or that which comes

  always_ff @(posedge clk_i) begin
    if (move) data_q <= spare_valid_q ? spare_q : in_data_i;
    if (!spare_valid_q) spare_q <= in_data_i;

    if (!rst_ni) begin
      valid_q       <= 1'b0;
      spare_valid_q <= 1'b0;
    end else begin
      if (move) valid_q <= spare_valid_q || in_valid_i;
      spare_valid_q <= !move && (spare_valid_q || in_valid_i);
    end
  end
endmodule
