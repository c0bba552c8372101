// Models of the 7-series primitives that Yosys maps to, for the simulation of netlists in Verilator: pins and parameters as in UG953.
//
// What the flow's netlists use is modelled; parameters and settings beyond that stop the elaboration. Registers whose INIT is unknown
// start at random, as those of the RTL do. Written from the vendor's guides (UG473, UG474, UG479, UG953); tests/synth/test_primitives.py
// holds them against the models that Yosys ships, all but those of block RAM, which Yosys has none of.

/* verilator lint_off DECLFILENAME */
/* verilator lint_off UNUSEDPARAM */
/* verilator lint_off UNUSEDSIGNAL */
/* verilator lint_off MULTIDRIVEN */
/* verilator lint_off WIDTH */  // Yosys writes INIT without its leading zeros

// ---------------------------------------------------------------- logic

module INV (output logic O, input logic I);
  assign O = ~I;
endmodule

module LUT1 #(parameter logic [1:0] INIT = 0) (output logic O, input logic I0);
  assign O = INIT[I0];
endmodule

module LUT2 #(parameter logic [3:0] INIT = 0) (output logic O, input logic I0, I1);
  assign O = INIT[{I1, I0}];
endmodule

module LUT3 #(parameter logic [7:0] INIT = 0) (output logic O, input logic I0, I1, I2);
  assign O = INIT[{I2, I1, I0}];
endmodule

module LUT4 #(parameter logic [15:0] INIT = 0) (output logic O, input logic I0, I1, I2, I3);
  assign O = INIT[{I3, I2, I1, I0}];
endmodule

module LUT5 #(parameter logic [31:0] INIT = 0) (output logic O, input logic I0, I1, I2, I3, I4);
  assign O = INIT[{I4, I3, I2, I1, I0}];
endmodule

module LUT6 #(parameter logic [63:0] INIT = 0) (output logic O, input logic I0, I1, I2, I3, I4, I5);
  assign O = INIT[{I5, I4, I3, I2, I1, I0}];
endmodule

module MUXF7 (output logic O, input logic I0, I1, S);
  assign O = S ? I1 : I0;
endmodule

module MUXF8 (output logic O, input logic I0, I1, S);
  assign O = S ? I1 : I0;
endmodule

/// Four bits of a carry chain; one of CI and CYINIT is 0.
module CARRY4 (output logic [3:0] CO, O, input logic CI, CYINIT, input logic [3:0] DI, S);
  logic c0, c1, c2, c3;
  assign c0 = CI | CYINIT;
  assign c1 = S[0] ? c0 : DI[0];
  assign c2 = S[1] ? c1 : DI[1];
  assign c3 = S[2] ? c2 : DI[2];
  assign CO = {S[3] ? c3 : DI[3], c3, c2, c1};
  assign O  = S ^ {c3, c2, c1, c0};
endmodule

// ---------------------------------------------------------------- flip-flops

module FDRE #(parameter logic INIT = 1'b0) (output logic Q, input logic C, CE, D, R);
  if (INIT === 1'b0 || INIT === 1'b1) initial Q = INIT;
  always_ff @(posedge C) if (R) Q <= 1'b0; else if (CE) Q <= D;
endmodule

module FDSE #(parameter logic INIT = 1'b1) (output logic Q, input logic C, CE, D, S);
  if (INIT === 1'b0 || INIT === 1'b1) initial Q = INIT;
  always_ff @(posedge C) if (S) Q <= 1'b1; else if (CE) Q <= D;
endmodule

module FDCE #(parameter logic INIT = 1'b0) (output logic Q, input logic C, CE, D, CLR);
  if (INIT === 1'b0 || INIT === 1'b1) initial Q = INIT;
  always_ff @(posedge C or posedge CLR) if (CLR) Q <= 1'b0; else if (CE) Q <= D;
endmodule

module FDPE #(parameter logic INIT = 1'b1) (output logic Q, input logic C, CE, D, PRE);
  if (INIT === 1'b0 || INIT === 1'b1) initial Q = INIT;
  always_ff @(posedge C or posedge PRE) if (PRE) Q <= 1'b1; else if (CE) Q <= D;
endmodule

// ---------------------------------------------------------------- distributed RAM

module RAM32X1S #(parameter logic [31:0] INIT = 0, parameter IS_WCLK_INVERTED = 0) (
    output logic O, input logic A0, A1, A2, A3, A4, D, WCLK, WE
);
  lut_ram #(.Width(1), .Words(32), .Init(INIT), .Inverted(IS_WCLK_INVERTED)) ram (
      .clk(WCLK), .we(WE), .w_addr({A4, A3, A2, A1, A0}), .r_addr({A4, A3, A2, A1, A0}), .d(D), .q(O)
  );
endmodule

module RAM64X1S #(parameter logic [63:0] INIT = 0, parameter IS_WCLK_INVERTED = 0) (
    output logic O, input logic A0, A1, A2, A3, A4, A5, D, WCLK, WE
);
  lut_ram #(.Width(1), .Words(64), .Init(INIT), .Inverted(IS_WCLK_INVERTED)) ram (
      .clk(WCLK), .we(WE), .w_addr({A5, A4, A3, A2, A1, A0}), .r_addr({A5, A4, A3, A2, A1, A0}), .d(D), .q(O)
  );
endmodule

module RAM128X1S #(parameter logic [127:0] INIT = 0, parameter IS_WCLK_INVERTED = 0) (
    output logic O, input logic A0, A1, A2, A3, A4, A5, A6, D, WCLK, WE
);
  lut_ram #(.Width(1), .Words(128), .Init(INIT), .Inverted(IS_WCLK_INVERTED)) ram (
      .clk(WCLK), .we(WE), .w_addr({A6, A5, A4, A3, A2, A1, A0}), .r_addr({A6, A5, A4, A3, A2, A1, A0}), .d(D), .q(O)
  );
endmodule

module RAM256X1S #(parameter logic [255:0] INIT = 0, parameter IS_WCLK_INVERTED = 0) (
    output logic O, input logic [7:0] A, input logic D, WCLK, WE
);
  lut_ram #(.Width(1), .Words(256), .Init(INIT), .Inverted(IS_WCLK_INVERTED)) ram (
      .clk(WCLK), .we(WE), .w_addr(A), .r_addr(A), .d(D), .q(O)
  );
endmodule

module RAM32X2S #(parameter logic [31:0] INIT_00 = 0, INIT_01 = 0, parameter IS_WCLK_INVERTED = 0) (
    output logic O0, O1, input logic A0, A1, A2, A3, A4, D0, D1, WCLK, WE
);
  RAM32X1S #(.INIT(INIT_00), .IS_WCLK_INVERTED(IS_WCLK_INVERTED)) low (.O(O0), .D(D0), .*);
  RAM32X1S #(.INIT(INIT_01), .IS_WCLK_INVERTED(IS_WCLK_INVERTED)) high (.O(O1), .D(D1), .*);
endmodule

module RAM32X1D #(parameter logic [31:0] INIT = 0, parameter IS_WCLK_INVERTED = 0) (
    output logic SPO, DPO, input logic A0, A1, A2, A3, A4, D, DPRA0, DPRA1, DPRA2, DPRA3, DPRA4, WCLK, WE
);
  logic [4:0] a;
  assign a = {A4, A3, A2, A1, A0};
  lut_ram #(.Width(1), .Words(32), .Init(INIT), .Inverted(IS_WCLK_INVERTED)) single (
      .clk(WCLK), .we(WE), .w_addr(a), .r_addr(a), .d(D), .q(SPO)
  );
  lut_ram #(.Width(1), .Words(32), .Init(INIT), .Inverted(IS_WCLK_INVERTED)) dual (
      .clk(WCLK), .we(WE), .w_addr(a), .r_addr({DPRA4, DPRA3, DPRA2, DPRA1, DPRA0}), .d(D), .q(DPO)
  );
endmodule

module RAM64X1D #(parameter logic [63:0] INIT = 0, parameter IS_WCLK_INVERTED = 0) (
    output logic SPO, DPO, input logic A0, A1, A2, A3, A4, A5, D, DPRA0, DPRA1, DPRA2, DPRA3, DPRA4, DPRA5, WCLK, WE
);
  logic [5:0] a;
  assign a = {A5, A4, A3, A2, A1, A0};
  lut_ram #(.Width(1), .Words(64), .Init(INIT), .Inverted(IS_WCLK_INVERTED)) single (
      .clk(WCLK), .we(WE), .w_addr(a), .r_addr(a), .d(D), .q(SPO)
  );
  lut_ram #(.Width(1), .Words(64), .Init(INIT), .Inverted(IS_WCLK_INVERTED)) dual (
      .clk(WCLK), .we(WE), .w_addr(a), .r_addr({DPRA5, DPRA4, DPRA3, DPRA2, DPRA1, DPRA0}), .d(D), .q(DPO)
  );
endmodule

module RAM128X1D #(parameter logic [127:0] INIT = 0, parameter IS_WCLK_INVERTED = 0) (
    output logic SPO, DPO, input logic [6:0] A, DPRA, input logic D, WCLK, WE
);
  lut_ram #(.Width(1), .Words(128), .Init(INIT), .Inverted(IS_WCLK_INVERTED)) single (
      .clk(WCLK), .we(WE), .w_addr(A), .r_addr(A), .d(D), .q(SPO)
  );
  lut_ram #(.Width(1), .Words(128), .Init(INIT), .Inverted(IS_WCLK_INVERTED)) dual (
      .clk(WCLK), .we(WE), .w_addr(A), .r_addr(DPRA), .d(D), .q(DPO)
  );
endmodule

module RAM32M #(parameter logic [63:0] INIT_A = 0, INIT_B = 0, INIT_C = 0, INIT_D = 0, parameter IS_WCLK_INVERTED = 0) (
    output logic [1:0] DOA, DOB, DOC, DOD, input logic [4:0] ADDRA, ADDRB, ADDRC, ADDRD, input logic [1:0] DIA, DIB, DIC, DID,
    input logic WCLK, WE
);
  lut_ram #(.Width(2), .Words(32), .Init(INIT_A), .Inverted(IS_WCLK_INVERTED)) lane_a (
      .clk(WCLK), .we(WE), .w_addr(ADDRD), .r_addr(ADDRA), .d(DIA), .q(DOA)
  );
  lut_ram #(.Width(2), .Words(32), .Init(INIT_B), .Inverted(IS_WCLK_INVERTED)) lane_b (
      .clk(WCLK), .we(WE), .w_addr(ADDRD), .r_addr(ADDRB), .d(DIB), .q(DOB)
  );
  lut_ram #(.Width(2), .Words(32), .Init(INIT_C), .Inverted(IS_WCLK_INVERTED)) lane_c (
      .clk(WCLK), .we(WE), .w_addr(ADDRD), .r_addr(ADDRC), .d(DIC), .q(DOC)
  );
  lut_ram #(.Width(2), .Words(32), .Init(INIT_D), .Inverted(IS_WCLK_INVERTED)) lane_d (
      .clk(WCLK), .we(WE), .w_addr(ADDRD), .r_addr(ADDRD), .d(DID), .q(DOD)
  );
endmodule

module RAM64M #(parameter logic [63:0] INIT_A = 0, INIT_B = 0, INIT_C = 0, INIT_D = 0, parameter IS_WCLK_INVERTED = 0) (
    output logic DOA, DOB, DOC, DOD, input logic [5:0] ADDRA, ADDRB, ADDRC, ADDRD, input logic DIA, DIB, DIC, DID, WCLK, WE
);
  lut_ram #(.Width(1), .Words(64), .Init(INIT_A), .Inverted(IS_WCLK_INVERTED)) lane_a (
      .clk(WCLK), .we(WE), .w_addr(ADDRD), .r_addr(ADDRA), .d(DIA), .q(DOA)
  );
  lut_ram #(.Width(1), .Words(64), .Init(INIT_B), .Inverted(IS_WCLK_INVERTED)) lane_b (
      .clk(WCLK), .we(WE), .w_addr(ADDRD), .r_addr(ADDRB), .d(DIB), .q(DOB)
  );
  lut_ram #(.Width(1), .Words(64), .Init(INIT_C), .Inverted(IS_WCLK_INVERTED)) lane_c (
      .clk(WCLK), .we(WE), .w_addr(ADDRD), .r_addr(ADDRC), .d(DIC), .q(DOC)
  );
  lut_ram #(.Width(1), .Words(64), .Init(INIT_D), .Inverted(IS_WCLK_INVERTED)) lane_d (
      .clk(WCLK), .we(WE), .w_addr(ADDRD), .r_addr(ADDRD), .d(DID), .q(DOD)
  );
endmodule

/// Words in look-up tables: written with the clock, read at once.
module lut_ram #(
    parameter int Width = 1, Words = 64,
    parameter logic [Words*Width-1:0] Init = 0,
    parameter Inverted = 0  // the clock
) (
    input logic clk, we,
    input logic [$clog2(Words)-1:0] w_addr, r_addr,
    input logic [Width-1:0] d,
    output logic [Width-1:0] q
);
  if (Inverted != 0) $error("distributed RAM with an inverted clock is not modelled");
  logic [Width-1:0] words[Words];
  initial for (int i = 0; i < Words; ++i) words[i] = Init[i*Width+:Width];
  always_ff @(posedge clk) if (we) words[w_addr] <= d;
  assign q = words[r_addr];
endmodule

// ---------------------------------------------------------------- shift registers

module SRL16E #(parameter logic [15:0] INIT = 0, parameter IS_CLK_INVERTED = 0) (
    output logic Q, input logic A0, A1, A2, A3, CE, CLK, D
);
  if (IS_CLK_INVERTED != 0) $error("SRL16E with an inverted clock is not modelled");
  logic [15:0] bits = INIT;
  always_ff @(posedge CLK) if (CE) bits <= {bits[14:0], D};
  assign Q = bits[{A3, A2, A1, A0}];
endmodule

module SRLC16E #(parameter logic [15:0] INIT = 0, parameter IS_CLK_INVERTED = 0) (
    output logic Q, Q15, input logic A0, A1, A2, A3, CE, CLK, D
);
  if (IS_CLK_INVERTED != 0) $error("SRLC16E with an inverted clock is not modelled");
  logic [15:0] bits = INIT;
  always_ff @(posedge CLK) if (CE) bits <= {bits[14:0], D};
  assign Q   = bits[{A3, A2, A1, A0}];
  assign Q15 = bits[15];
endmodule

module SRLC32E #(parameter logic [31:0] INIT = 0, parameter IS_CLK_INVERTED = 0) (
    output logic Q, Q31, input logic [4:0] A, input logic CE, CLK, D
);
  if (IS_CLK_INVERTED != 0) $error("SRLC32E with an inverted clock is not modelled");
  logic [31:0] bits = INIT;
  always_ff @(posedge CLK) if (CE) bits <= {bits[30:0], D};
  assign Q   = bits[A];
  assign Q31 = bits[31];
endmodule

// ---------------------------------------------------------------- block RAM

// INIT and INITP have INIT_00, INITP_00 in their low bits, and the others above (flow/synth/verilog.py joins them).

module RAMB18E1 #(
    parameter logic [16383:0] INIT = 0,
    parameter logic [2047:0] INITP = 0,
    parameter int READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0, DOA_REG = 0, DOB_REG = 0,
    parameter RAM_MODE = "TDP", WRITE_MODE_A = "WRITE_FIRST", WRITE_MODE_B = "WRITE_FIRST",
    parameter INIT_A = 0, INIT_B = 0, SRVAL_A = 0, SRVAL_B = 0
) (
    input logic CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB, RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
    input logic [13:0] ADDRARDADDR, ADDRBWRADDR,
    input logic [15:0] DIADI, DIBDI,
    input logic [1:0] DIPADIP, DIPBDIP, WEA,
    input logic [3:0] WEBWE,
    output logic [15:0] DOADO, DOBDO,
    output logic [1:0] DOPADOP, DOPBDOP
);
  block_ram #(
      .Port(16), .Contents(INIT), .Parities(INITP), .ReadA(READ_WIDTH_A), .ReadB(READ_WIDTH_B), .WriteA(WRITE_WIDTH_A),
      .WriteB(WRITE_WIDTH_B), .Registers(DOA_REG | DOB_REG), .Mode(RAM_MODE), .ModeA(WRITE_MODE_A), .ModeB(WRITE_MODE_B)
  ) ram (
      .clk_a(CLKARDCLK), .clk_b(CLKBWRCLK), .en_a(ENARDEN), .en_b(ENBWREN), .rst_a(RSTRAMARSTRAM), .rst_b(RSTRAMB),
      .addr_a(ADDRARDADDR), .addr_b(ADDRBWRADDR), .di_a(DIADI), .di_b(DIBDI), .dip_a(DIPADIP), .dip_b(DIPBDIP), .we_a(WEA),
      .we_b(WEBWE), .do_a(DOADO), .do_b(DOBDO), .dop_a(DOPADOP), .dop_b(DOPBDOP)
  );
endmodule

module RAMB36E1 #(
    parameter logic [32767:0] INIT = 0,
    parameter logic [4095:0] INITP = 0,
    parameter int READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0, DOA_REG = 0, DOB_REG = 0,
    parameter RAM_MODE = "TDP", WRITE_MODE_A = "WRITE_FIRST", WRITE_MODE_B = "WRITE_FIRST",
    parameter RAM_EXTENSION_A = "NONE", RAM_EXTENSION_B = "NONE",
    parameter INIT_A = 0, INIT_B = 0, SRVAL_A = 0, SRVAL_B = 0
) (
    input logic CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB, RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
    input logic [15:0] ADDRARDADDR, ADDRBWRADDR,
    input logic [31:0] DIADI, DIBDI,
    input logic [3:0] DIPADIP, DIPBDIP, WEA,
    input logic [7:0] WEBWE,
    output logic [31:0] DOADO, DOBDO,
    output logic [3:0] DOPADOP, DOPBDOP
);
  if (RAM_EXTENSION_A != "NONE" || RAM_EXTENSION_B != "NONE") $error("RAMB36E1 in a cascade is not modelled");
  block_ram #(
      .Port(32), .Contents(INIT), .Parities(INITP), .ReadA(READ_WIDTH_A), .ReadB(READ_WIDTH_B), .WriteA(WRITE_WIDTH_A),
      .WriteB(WRITE_WIDTH_B), .Registers(DOA_REG | DOB_REG), .Mode(RAM_MODE), .ModeA(WRITE_MODE_A), .ModeB(WRITE_MODE_B)
  ) ram (
      .clk_a(CLKARDCLK), .clk_b(CLKBWRCLK), .en_a(ENARDEN), .en_b(ENBWREN), .rst_a(RSTRAMARSTRAM), .rst_b(RSTRAMB),
      .addr_a(ADDRARDADDR[14:0]), .addr_b(ADDRBWRADDR[14:0]), .di_a(DIADI), .di_b(DIBDI), .dip_a(DIPADIP), .dip_b(DIPBDIP),
      .we_a(WEA), .we_b(WEBWE), .do_a(DOADO), .do_b(DOBDO), .dop_a(DOPADOP), .dop_b(DOPBDOP)
  );
endmodule

/// 512 rows of bytes with a parity bit each, two ports, of which one at most writes. Widths count parity bits: 0 (not used), 1, 2, 4, 9,
/// 18, 36, 72. In mode SDP port A reads a whole row and port B writes one, with the pins of both.
module block_ram #(
    parameter int Port = 32,  // data bits of a port: half a row
    parameter logic [1024*Port-1:0] Contents = 0,
    parameter logic [128*Port-1:0] Parities = 0,
    parameter int ReadA = 0, ReadB = 0, WriteA = 0, WriteB = 0, Registers = 0,
    parameter Mode = "TDP", ModeA = "READ_FIRST", ModeB = "READ_FIRST"
) (
    input logic clk_a, clk_b, en_a, en_b, rst_a, rst_b,
    input logic [$clog2(Port)+9:0] addr_a, addr_b,  // of bits
    input logic [Port-1:0] di_a, di_b,
    input logic [Port/8-1:0] dip_a, dip_b, we_a,
    input logic [Port/4-1:0] we_b,
    output logic [Port-1:0] do_a, do_b,
    output logic [Port/8-1:0] dop_a, dop_b
);
  localparam int Row = 2 * Port, Parity = Row / 8, Offset = $clog2(Row);
  localparam bit Wide = Mode == "SDP", WritesB = WriteB != 0;
  localparam int Write = WritesB ? WriteB : WriteA;
  localparam int DataA = ReadA < 9 ? ReadA : ReadA / 9 * 8;  // data bits of a word, without its parity
  localparam int DataB = ReadB < 9 ? ReadB : ReadB / 9 * 8;
  localparam int DataW = Write < 9 ? Write : Write / 9 * 8;

  if (Registers != 0) $error("block RAM with output registers is not modelled");
  if (WriteA != 0 && WriteB != 0) $error("block RAM that both ports write is not modelled");
  if (WriteA != 0 && ModeA != "READ_FIRST" || WriteB != 0 && ModeB != "READ_FIRST") $error("only READ_FIRST is modelled");
  if (Wide && (ReadA != Row + Parity || ReadB != 0 || WriteA != 0 || WriteB != 0 && WriteB != Row + Parity))
    $error("block RAM in mode SDP is modelled with whole rows only");

  logic [Row-1:0] rows[512], row_a, row_b, written, mask;
  logic [Parity-1:0] parities[512], parity_a, parity_b, written_parity, mask_parity;
  initial
    for (int i = 0; i < 512; ++i) begin
      rows[i] = Contents[i*Row+:Row];
      parities[i] = Parities[i*Parity+:Parity];
    end

  // Where a word begins in its row: the address without what is below its width.
  logic [$clog2(Port)+9:0] addr_w;
  logic [Offset-1:0] start_a, start_b, start_w;
  assign start_a = addr_a[Offset-1:0] & ~Offset'(DataA - 1);
  assign start_b = addr_b[Offset-1:0] & ~Offset'(DataB - 1);
  assign start_w = addr_w[Offset-1:0] & ~Offset'(DataW - 1);

  // reads

  always_ff @(posedge clk_a)
    if (en_a) begin
      if (ReadA != 0 && rst_a) $error("block RAM whose output is reset is not modelled");
      row_a <= rows[addr_a[Offset+:9]] >> start_a;
      parity_a <= parities[addr_a[Offset+:9]] >> start_a / 8;
    end

  always_ff @(posedge clk_b)
    if (en_b) begin
      if (ReadB != 0 && rst_b) $error("block RAM whose output is reset is not modelled");
      row_b <= rows[addr_b[Offset+:9]] >> start_b;
      parity_b <= parities[addr_b[Offset+:9]] >> start_b / 8;
    end

  assign do_a  = row_a[Port-1:0];
  assign dop_a = parity_a[Parity/2-1:0];
  assign do_b  = Wide ? row_a[Row-1:Port] : row_b[Port-1:0];
  assign dop_b = Wide ? parity_a[Parity-1:Parity/2] : parity_b[Parity/2-1:0];

  // the write

  logic clk_w;
  logic [Parity-1:0] we;

  assign clk_w  = WritesB ? clk_b : clk_a;
  assign addr_w = WritesB ? addr_b : addr_a;
  assign we     = WritesB ? (en_b ? we_b : '0) : (en_a ? Parity'(we_a) : '0);
  assign {written, written_parity} = Wide ? {di_b, di_a, dip_b, dip_a} : WritesB ?
      {Row'(di_b), Parity'(dip_b)} : {Row'(di_a), Parity'(dip_a)};
  for (genvar i = 0; i < Row; ++i) assign mask[i] = i < DataW && we[Write < 9 ? 0 : i / 8];
  for (genvar i = 0; i < Parity; ++i) assign mask_parity[i] = i < Write / 9 && we[i];

  if (Write != 0)
    always_ff @(posedge clk_w) begin
      rows[addr_w[Offset+:9]] <= rows[addr_w[Offset+:9]] & ~(mask << start_w) | (written & mask) << start_w;
      parities[addr_w[Offset+:9]] <= parities[addr_w[Offset+:9]] & ~(mask_parity << start_w / 8)
          | (written_parity & mask_parity) << start_w / 8;
    end
endmodule

// ---------------------------------------------------------------- DSP slice

/// A product of 25 by 18 bits, and what is added to it. Controls come without registers, A and B with one at most.
module DSP48E1 #(
    parameter int AREG = 1, BREG = 1, CREG = 1, MREG = 1, PREG = 1, ACASCREG = 1, BCASCREG = 1, ADREG = 1, DREG = 1,
    parameter int ALUMODEREG = 1, CARRYINREG = 1, CARRYINSELREG = 1, INMODEREG = 1, OPMODEREG = 1,
    parameter A_INPUT = "DIRECT", B_INPUT = "DIRECT", USE_DPORT = "FALSE", USE_MULT = "MULTIPLY", USE_SIMD = "ONE48"
) (
    output logic [47:0] P, PCOUT,
    input logic [29:0] A, ACIN,
    input logic [17:0] B, BCIN,
    input logic [47:0] C, PCIN,
    input logic [24:0] D,
    input logic [6:0] OPMODE,
    input logic [4:0] INMODE,
    input logic [3:0] ALUMODE,
    input logic [2:0] CARRYINSEL,
    input logic CARRYIN, CLK, CEA2, CEB2, CEC, CEM, CEP, RSTA, RSTB, RSTC, RSTM, RSTP
);
  if (AREG > 1 || BREG > 1) $error("DSP48E1 with two registers before the product is not modelled");
  if (ALUMODEREG + CARRYINREG + CARRYINSELREG + INMODEREG + OPMODEREG != 0)
    $error("DSP48E1 with registers of its controls is not modelled");
  if (A_INPUT != "DIRECT" || B_INPUT != "DIRECT" || USE_DPORT != "FALSE" || USE_MULT == "DYNAMIC" || USE_SIMD != "ONE48")
    $error("DSP48E1 with a pre-adder, lanes, or operands from its neighbour is not modelled");

  logic [29:0] a, a_q = 0;
  logic [17:0] b, b_q = 0;
  logic [47:0] c, c_q = 0, p_q = 0, x, y, z, sum, result;
  logic signed [42:0] product, m, m_q = 0;

  always_ff @(posedge CLK) begin
    if (RSTA) a_q <= 0; else if (CEA2) a_q <= A;
    if (RSTB) b_q <= 0; else if (CEB2) b_q <= B;
    if (RSTC) c_q <= 0; else if (CEC) c_q <= C;
    if (RSTM) m_q <= 0; else if (CEM) m_q <= product;
    if (RSTP) p_q <= 0; else if (CEP) p_q <= result;
  end

  assign a       = AREG != 0 ? a_q : A;
  assign b       = BREG != 0 ? b_q : B;
  assign c       = CREG != 0 ? c_q : C;
  assign product = 43'(signed'(a[24:0])) * 43'(signed'(b));
  assign m       = MREG != 0 ? m_q : product;

  // The product comes whole by X; that the slice splits it into X and Y makes no difference to their sum.
  always_comb
    case (OPMODE[1:0])
      2'b01:   x = 48'(m);
      2'b10:   x = p_q;
      2'b11:   x = {a, b};
      default: x = 0;
    endcase
  always_comb
    case (OPMODE[3:2])
      2'b10:   y = '1;
      2'b11:   y = c;
      default: y = 0;
    endcase
  always_comb
    case (OPMODE[6:4])
      3'b001:  z = PCIN;
      3'b010:  z = p_q;
      3'b011:  z = c;
      3'b101:  z = 48'(signed'(PCIN[47:17]));
      3'b110:  z = 48'(signed'(p_q[47:17]));
      default: z = 0;
    endcase

  assign sum    = (ALUMODE[0] ? ~z : z) + x + y + 48'(CARRYIN);
  assign result = ALUMODE[1] ? ~sum : sum;
  assign P      = PREG != 0 ? p_q : result;
  assign PCOUT  = P;

  always_ff @(posedge CLK) begin
    if (INMODE != 0 || CARRYINSEL != 0 || ALUMODE[3:2] != 0 || OPMODE[6:4] == 3'b100 || OPMODE[6:4] == 3'b111)
      $error("DSP48E1 with INMODE %b, CARRYINSEL %b, ALUMODE %b and OPMODE %b is not modelled", INMODE, CARRYINSEL, ALUMODE, OPMODE);
    if ((OPMODE[1:0] == 2'b01) != (OPMODE[3:2] == 2'b01)) $error("DSP48E1 takes half of its product: OPMODE %b", OPMODE);
  end
endmodule
