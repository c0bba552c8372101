/// Counts steps: 0, 1, ..., Count - 1, and 0 again. One that counts to 1 has no register.
module counter #(
    parameter  int unsigned Count     = 2,                             // steps a round
    localparam int unsigned CountBits = Count > 1 ? $clog2(Count) : 1
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,   // back to 0
    input  logic                 step_i,   // counts one
    output logic [CountBits-1:0] count_o,  // steps of this round so far
    output logic                 last_o    // count_o is Count - 1: the next step ends the round
);
  if (Count == 1) begin : gen_constant
    logic unused;
    assign unused = &{1'b0, clk_i, rst_ni, step_i};

    assign count_o = CountBits'(0);
    assign last_o  = 1'b1;
  end else begin : gen_count
    logic [CountBits-1:0] count_q;

    assign count_o = count_q;
    assign last_o  = count_q == CountBits'(Count - 1);

    always_ff @(posedge clk_i) begin
      if (!rst_ni) count_q <= CountBits'(0);
      else if (step_i) count_q <= last_o ? CountBits'(0) : count_q + CountBits'(1);
    end
  end
endmodule
