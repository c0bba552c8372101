/// rtl/duplicate.sv: each consumer gets every beat once. Nothing is inside, so a beat is compared with what the input offers.
module duplicate_proof #(
    parameter int unsigned Width = 8  // bits of a beat
) (
    input logic             clk_i,
    input logic             rst_ni,
    input logic [Width-1:0] in_data,
    input logic             in_valid,
    input logic             out0_ready,
    input logic             out1_ready
);
  logic [Width-1:0] out0_data, out1_data;
  logic started, in_ready, out0_valid, out1_valid;

  duplicate #(.Width(Width)) dut (
      .clk_i, .rst_ni,
      .in_data_i(in_data), .in_valid_i(in_valid), .in_ready_o(in_ready),
      .out0_data_o(out0_data), .out0_valid_o(out0_valid), .out0_ready_i(out0_ready),
      .out1_data_o(out1_data), .out1_valid_o(out1_valid), .out1_ready_i(out1_ready)
  );
  reset i_reset (.clk_i, .rst_ni, .started_o(started));
  stream_assume #(.Width(Width)) i_in (.clk_i, .rst_ni, .data_i(in_data), .valid_i(in_valid), .ready_i(in_ready));
  stream_prove #(.Width(Width)) i_out0 (.clk_i, .rst_ni, .data_i(out0_data), .valid_i(out0_valid), .ready_i(out0_ready));
  stream_prove #(.Width(Width)) i_out1 (.clk_i, .rst_ni, .data_i(out1_data), .valid_i(out1_valid), .ready_i(out1_ready));

  logic got0_q, got1_q;  // this consumer took the beat that the input offers in an earlier cycle
  logic gets0, gets1;    // it takes it in this one
  assign gets0 = out0_valid && out0_ready;
  assign gets1 = out1_valid && out1_ready;

  always_ff @(posedge clk_i) begin
    got0_q <= rst_ni && in_valid && !in_ready && (got0_q || gets0);
    got1_q <= rst_ni && in_valid && !in_ready && (got1_q || gets1);
  end

  always_comb begin
    if (started) begin
      if (in_valid) assert (out0_valid == !got0_q && out1_valid == !got1_q);  // offered until taken, and not again
      else assert (!out0_valid && !out1_valid);
      if (out0_valid) assert (out0_data == in_data);
      if (out1_valid) assert (out1_data == in_data);
      if (in_valid && in_ready) assert ((got0_q || gets0) && (got1_q || gets1));  // none is left out
      if (out0_ready && out1_ready) assert (in_ready);  // no deadlock
      if (in_valid && (got0_q || out0_ready) && (got1_q || out1_ready)) assert (in_ready);
    end
  end
endmodule
