/// A register in a stream, for its data and valid: a cycle of latency, a beat a cycle. The ready of the output passes through.
module stream_register #(
    parameter int unsigned Width = 8  // bits of a beat
) (
    input  logic             clk_i,
    input  logic             rst_ni,       // drops the beat inside
    input  logic [Width-1:0] in_data_i,    // the stream before the register
    input  logic             in_valid_i,
    output logic             in_ready_o,
    output logic [Width-1:0] out_data_o,   // the stream after it
    output logic             out_valid_o,
    input  logic             out_ready_i
);
  logic [Width-1:0] data_q;

  assign out_data_o = data_q;

  stream_stage i_stage (
      .clk_i,
      .rst_ni,
      .in_valid_i,
      .in_ready_o,
      .out_valid_o,
      .out_ready_i
  );

  always_ff @(posedge clk_i) if (in_ready_o) data_q <= in_data_i;
endmodule
