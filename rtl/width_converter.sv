/// Regroups a stream: beats of InElements become beats of OutElements, in the same order, low elements first. The larger
/// number is a multiple of the smaller; equal numbers are a wire. The narrower side moves a beat a cycle, the wider one a
/// beat every larger/smaller cycles.
module width_converter #(
    parameter int unsigned InElements  = 1,  // elements of an input beat
    parameter int unsigned OutElements = 1,  // elements of an output beat
    parameter int unsigned Bits        = 1   // bits of an element
) (
    input  logic                        clk_i,
    input  logic                        rst_ni,       // throws away a partial beat
    input  logic [ InElements*Bits-1:0] in_data_i,    // the first element in the low bits
    input  logic                        in_valid_i,
    output logic                        in_ready_o,
    output logic [OutElements*Bits-1:0] out_data_o,   // likewise
    output logic                        out_valid_o,
    input  logic                        out_ready_i
);
  localparam int unsigned InBits = InElements * Bits;
  localparam int unsigned OutBits = OutElements * Bits;

  // synthesis translate_off
  initial
    if (InElements % OutElements != 0 && OutElements % InElements != 0)
      $fatal(1, "width_converter: neither of %0d and %0d elements divides the other", InElements, OutElements);
  // synthesis translate_on

  if (InElements < OutElements) begin : gen_collect
    localparam int unsigned Parts = OutElements / InElements;
    localparam int unsigned CountBits = Parts > 1 ? $clog2(Parts) : 1;
    logic [OutBits-1:0] word_q;  // new parts come in at the top
    logic [CountBits-1:0] unused_count;
    logic full_q, take, last;  // the word is whole; the part that comes makes it so

    assign take = in_valid_i && in_ready_o;
    assign in_ready_o = !full_q || out_ready_i;
    assign out_valid_o = full_q;
    assign out_data_o = word_q;

    counter #(
        .Count(Parts)
    ) i_part (
        .clk_i,
        .rst_ni,
        .step_i (take),
        .count_o(unused_count),
        .last_o (last)
    );

    always_ff @(posedge clk_i) begin
      if (take) word_q <= {in_data_i, word_q[OutBits-1:InBits]};
      if (!rst_ni) full_q <= 1'b0;
      else if (in_ready_o) full_q <= take && last;
    end
  end else if (InElements > OutElements) begin : gen_split
    localparam int unsigned Parts = InElements / OutElements;
    localparam int unsigned CountBits = Parts > 1 ? $clog2(Parts) : 1;
    logic [InBits-1:0] word_q;  // the next part is at the bottom
    logic [CountBits-1:0] left_q;  // parts in the word behind that one
    logic valid_q, last_q, take, give;  // there is a part; it is the word's last one

    assign take = in_valid_i && in_ready_o;
    assign give = valid_q && out_ready_i;
    assign in_ready_o = !valid_q || (last_q && out_ready_i);
    assign out_valid_o = valid_q;
    assign out_data_o = word_q[OutBits-1:0];

    always_ff @(posedge clk_i) begin
      if (take) word_q <= in_data_i;
      else if (give) word_q <= word_q >> OutBits;

      if (take) left_q <= CountBits'(Parts - 1);
      else if (give) left_q <= left_q - CountBits'(1);

      if (take) last_q <= 1'b0;
      else if (give) last_q <= left_q == CountBits'(1);

      if (!rst_ni) valid_q <= 1'b0;
      else if (take) valid_q <= 1'b1;
      else if (give) valid_q <= !last_q;
    end
  end else begin : gen_wire
    logic unused;
    assign unused = clk_i & rst_ni;

    assign out_data_o = in_data_i;
    assign out_valid_o = in_valid_i;
    assign in_ready_o = out_ready_i;
  end
endmodule
