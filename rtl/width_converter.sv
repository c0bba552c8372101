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
    localparam int unsigned CountBits = $clog2(Parts + 1);
    logic [OutBits-1:0] word_q;  // new parts come in at the top
    logic [CountBits-1:0] count_q;  // parts in the word
    logic full, take;

    assign full = count_q == CountBits'(Parts);
    assign take = in_valid_i && in_ready_o;
    assign in_ready_o = !full || out_ready_i;
    assign out_valid_o = full;
    assign out_data_o = word_q;

    always_ff @(posedge clk_i) begin
      if (take) word_q <= {in_data_i, word_q[OutBits-1:InBits]};
      if (!rst_ni) count_q <= CountBits'(0);
      else if (full && out_ready_i) count_q <= CountBits'(take);
      else count_q <= count_q + CountBits'(take);
    end
  end else if (InElements > OutElements) begin : gen_split
    localparam int unsigned Parts = InElements / OutElements;
    localparam int unsigned CountBits = $clog2(Parts + 1);
    logic [InBits-1:0] word_q;  // the next part is at the bottom
    logic [CountBits-1:0] count_q;  // parts left in the word
    logic take, give;

    assign take = in_valid_i && in_ready_o;
    assign give = out_valid_o && out_ready_i;
    assign in_ready_o = count_q == CountBits'(0) || (count_q == CountBits'(1) && out_ready_i);
    assign out_valid_o = count_q != CountBits'(0);
    assign out_data_o = word_q[OutBits-1:0];

    always_ff @(posedge clk_i) begin
      if (take) word_q <= in_data_i;
      else if (give) word_q <= word_q >> OutBits;
      if (!rst_ni) count_q <= CountBits'(0);
      else if (take) count_q <= CountBits'(Parts);
      else count_q <= count_q - CountBits'(give);
    end
  end else begin : gen_wire
    logic unused;
    assign unused = clk_i & rst_ni;

    assign out_data_o = in_data_i;
    assign out_valid_o = in_valid_i;
    assign in_ready_o = out_ready_i;
  end
endmodule
