/// First in, first out. The memory is read into a register, so it maps to block RAM as well as to LUTs; that register makes the
/// capacity Depth + 1. A beat comes out two cycles after it went in, and beats pass at one a cycle.
module fifo #(
    parameter int unsigned Width       = 8,      // bits of a beat
    parameter int unsigned Depth       = 2,      // beats in the memory, at least 2
    parameter              MemoryStyle = "auto"  // ram_style: auto, block, distributed, registers
) (
    input  logic             clk_i,
    input  logic             rst_ni,       // empties the FIFO
    input  logic [Width-1:0] in_data_i,    // a beat
    input  logic             in_valid_i,
    output logic             in_ready_o,   // the memory is not full; from a register
    output logic [Width-1:0] out_data_o,   // a beat, from a register
    output logic             out_valid_o,
    input  logic             out_ready_i
);
  localparam int unsigned AddressBits = Depth > 2 ? $clog2(Depth) : 1;
  localparam int unsigned CountBits = $clog2(Depth + 1);

  // synthesis translate_off
  localparam logic [127:0] Style = 128'(MemoryStyle);
  initial begin
    if (Depth < 2) $fatal(1, "fifo: Depth is %0d, must be at least 2", Depth);
    if (Style != 128'("auto") && Style != 128'("block") && Style != 128'("distributed") && Style != 128'("registers"))
      $fatal(1, "fifo: MemoryStyle %0s is none of auto, block, distributed, registers", MemoryStyle);
  end
  // synthesis translate_on

  (* ram_style = MemoryStyle *) logic [Width-1:0] memory[Depth];
  logic [AddressBits-1:0] write_address, read_address;
  logic [CountBits-1:0] count_q;  // beats in the memory
  logic full_q, valid_q;
  logic [Width-1:0] data_q;
  logic write, read, unused_write_last, unused_read_last;

  assign in_ready_o  = !full_q;
  assign out_data_o  = data_q;
  assign out_valid_o = valid_q;

  assign write = in_valid_i && !full_q;
  assign read  = count_q != CountBits'(0) && (!valid_q || out_ready_i);

  counter #(
      .Count(Depth)
  ) i_write (
      .clk_i,
      .rst_ni,
      .step_i (write),
      .count_o(write_address),
      .last_o (unused_write_last)
  );

  counter #(
      .Count(Depth)
  ) i_read (
      .clk_i,
      .rst_ni,
      .step_i (read),
      .count_o(read_address),
      .last_o (unused_read_last)
  );

  always_ff @(posedge clk_i) begin
    if (write) memory[write_address] <= in_data_i;
    if (read) data_q <= memory[read_address];
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      count_q <= CountBits'(0);
      full_q  <= 1'b0;
      valid_q <= 1'b0;
    end else begin
      count_q <= count_q + CountBits'(write) - CountBits'(read);
      full_q  <= !read && (full_q || (write && count_q == CountBits'(Depth - 1)));
      valid_q <= read || (valid_q && !out_ready_i);
    end
  end
endmodule
