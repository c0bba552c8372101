/// Looks values up in a table that is the same for all channels: out = table[in]. The results are registered.
module value_table #(
    parameter int unsigned P           = 8,              // elements a beat
    parameter int unsigned InBits      = 8,              // bits of an element
    parameter int unsigned OutBits     = 8,              // bits of a result, signed
    parameter              TableFile   = "",             // 2^InBits words of OutBits bits: the results of the bit patterns 0, 1, ...
    parameter              MemoryStyle = "distributed"   // rom_style of each of the P tables
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic [ P*InBits-1:0] in_data_i,    // P elements
    input  logic                 in_valid_i,
    output logic                 in_ready_o,
    output logic [P*OutBits-1:0] out_data_o,   // P results
    output logic                 out_valid_o,
    input  logic                 out_ready_i
);
  stream_stage i_stage (
      .clk_i,
      .rst_ni,
      .in_valid_i,
      .in_ready_o,
      .out_valid_o,
      .out_ready_i
  );

  for (genvar i = 0; i < P; i++) begin : gen_element
    rom #(
        .Words      (1 << InBits),
        .Width      (OutBits),
        .File       (TableFile),
        .MemoryStyle(MemoryStyle)
    ) i_values (
        .clk_i,
        .enable_i (in_ready_o),
        .address_i(in_data_i[i*InBits+:InBits]),
        .word_o   (out_data_o[i*OutBits+:OutBits])
    );
  end
endmodule
