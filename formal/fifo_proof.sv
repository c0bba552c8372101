/// rtl/fifo.sv. The runner connects the undriven wires to what they are named after inside.
module fifo_proof #(
    parameter  int unsigned Width       = 4,                             // bits of a beat
    parameter  int unsigned Depth       = 4,                             // beats in the memory
    localparam int unsigned AddressBits = Depth > 2 ? $clog2(Depth) : 1,
    localparam int unsigned CountBits   = $clog2(Depth + 1)
) (
    input logic             clk_i,
    input logic             rst_ni,
    input logic [Width-1:0] in_data,
    input logic             in_valid,
    input logic             out_ready
);
  logic [Width-1:0] out_data, element;
  logic [5:0] held, position;
  logic started, in_ready, out_valid;

  wire [AddressBits-1:0] write_address, read_address;  // of the next write, of the next read
  wire [CountBits-1:0] count_q;                        // beats in the memory
  wire [Depth*Width-1:0] memory;                       // word 0 in the low bits

  fifo #(.Width(Width), .Depth(Depth)) dut (
      .clk_i, .rst_ni,
      .in_data_i(in_data), .in_valid_i(in_valid), .in_ready_o(in_ready),
      .out_data_o(out_data), .out_valid_o(out_valid), .out_ready_i(out_ready)
  );
  reset i_reset (.clk_i, .rst_ni, .started_o(started));
  stream_assume #(.Width(Width)) i_in (.clk_i, .rst_ni, .data_i(in_data), .valid_i(in_valid), .ready_i(in_ready));
  stream_prove #(.Width(Width)) i_out (.clk_i, .rst_ni, .data_i(out_data), .valid_i(out_valid), .ready_i(out_ready));
  order #(.Bits(Width)) i_order (
      .clk_i, .rst_ni,
      .in_data_i(in_data), .in_taken_i(in_valid && in_ready), .out_data_i(out_data), .out_taken_i(out_valid && out_ready),
      .held_o(held), .position_o(position), .element_o(element)
  );
  // One cycle from the memory to the output register; a full memory takes a beat the cycle after one has left it.
  progress #(.OutWait(1), .InWait(1)) i_progress (
      .clk_i, .rst_ni, .complete_i(held != 0), .in_ready_i(in_ready), .out_valid_i(out_valid), .out_ready_i(out_ready)
  );

  function automatic logic [6:0] wrapped(input logic [6:0] address);
    wrapped = address >= Depth ? address - Depth : address;
  endfunction
  logic [6:0] slot;  // of the followed beat, if it is in the memory
  assign slot = wrapped(7'(read_address) + 7'(position) - 7'(out_valid));

  always_comb begin
    if (started) begin
      assert (count_q <= Depth);
      assert (write_address < Depth && read_address < Depth);
      assert (write_address == wrapped(7'(read_address) + 7'(count_q)));
      assert (in_ready == (count_q != Depth));
      assert (held == 6'(count_q) + 6'(out_valid));
      if (position < held) begin
        if (out_valid && position == 0) assert (out_data == element);
        else assert (memory[slot*Width+:Width] == element);
      end
    end
  end
endmodule
