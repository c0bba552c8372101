/// Feeds weight_stationary nodes from memory: Ports regions share one AXI4 read master. Port i reads WordsPerFrame[i] 64-bit words
/// from base_i[i], start to end, frame after frame, as long as `enable_i`.
///
/// Bursts: INCR, 16 beats (the last of a frame: the rest), one ID. Every burst starts at a multiple of 128 bytes, so none
/// crosses 4 KiB. Round robin over the ports whose FIFO has room for 16 words; room is reserved when the address goes out,
/// so `m_axi_rready` is always 1. Up to 8 are in flight.
///
/// Run and stop: a run starts at word 0 of every region, once `enable_i` is high and nothing is in flight. When `enable_i`
/// falls, the run ends: in the next cycle the FIFOs are flushed and out_valid_o is low (so the consumers must be reset too),
/// no new address is offered, an address already offered stays until it is accepted, and beats of bursts in flight are taken and
/// dropped. Raising `enable_i` before the last of them only makes the next run wait. `rst_ni` is the reset of the AXI bus: it
/// also forgets what is in flight. Beats that still come from before it are dropped while no burst is in flight, so keep
/// `enable_i` low until they have.
///
/// A port is chosen in one cycle and its address goes out in the next, so addresses come every second cycle at most.
/// With one busy port, FifoDepth words per (read latency + 2) cycles bound its rate.
module weight_stream #(
    parameter int unsigned         Ports         = 4,                   // regions, 1 to 8
    parameter logic [Ports*32-1:0] WordsPerFrame = {Ports{32'd36864}},  // 32 bits a port, port 0 in the low bits; 1 or more
    parameter int unsigned         FifoDepth     = 64                   // 64-bit words a port, 32 or more
) (
    input  logic                clk_i,
    input  logic                rst_ni,         // of the bus, see above
    input  logic                enable_i,       // see above
    input  logic [Ports*32-1:0] base_i,         // byte addresses of the regions, taken at the start of a frame; the low 7 bits count as 0
    output logic                error_o,        // a beat of this run came with an error response; stays until the next run starts
    output logic [Ports*64-1:0] out_data_o,     // 64-bit words, one stream a port
    output logic [   Ports-1:0] out_valid_o,
    input  logic [   Ports-1:0] out_ready_i,
    output logic [         0:0] m_axi_arid,     // read channels of an AXI4 master (fits AXI3: bursts of at most 16)
    output logic [        31:0] m_axi_araddr,
    output logic [         7:0] m_axi_arlen,
    output logic [         2:0] m_axi_arsize,
    output logic [         1:0] m_axi_arburst,
    output logic [         2:0] m_axi_arprot,
    output logic [         3:0] m_axi_arcache,
    output logic                m_axi_arvalid,
    input  logic                m_axi_arready,
    input  logic [         0:0] m_axi_rid,
    input  logic [        63:0] m_axi_rdata,
    input  logic [         1:0] m_axi_rresp,
    input  logic                m_axi_rlast,
    input  logic                m_axi_rvalid,
    output logic                m_axi_rready
);

  localparam int unsigned Bursts    = 8;   // in flight at most, a power of two
  localparam int unsigned Beats     = 16;  // of a burst at most
  localparam int unsigned BurstBits = $clog2(Bursts);
  localparam int unsigned RoomBits  = $clog2(FifoDepth + 1);

  // synthesis translate_off
  initial begin
    if (Ports < 1 || Ports > 8) $fatal(1, "weight_stream: Ports is %0d, must be 1 to 8", Ports);
    if (FifoDepth < 32) $fatal(1, "weight_stream: FifoDepth is %0d, must be 32 or more (two bursts)", FifoDepth);
    for (int unsigned i = 0; i < Ports; i++)
      if (WordsPerFrame[i*32+:32] == 32'd0) $fatal(1, "weight_stream: WordsPerFrame of port %0d is 0", i);
  end
  // synthesis translate_on

  logic run_q;
  logic in_flight_none, in_flight_full;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || !enable_i) run_q <= 1'b0;
    else if (in_flight_none) run_q <= 1'b1;
  end

  // ---------------------------------------------------------------- ports: next burst, room, FIFO

  logic [   Ports-1:0] request, grant, push;
  logic [Ports*25-1:0] block;   // address of the next burst / 128
  logic [Ports* 4-1:0] length;  // its beats - 1

  for (genvar i = 0; i < Ports; i++) begin : gen_port
    localparam int unsigned Words       = WordsPerFrame[i*32+:32];
    localparam int unsigned FrameBursts = (Words + Beats - 1) / Beats;
    localparam int unsigned LastBeats   = Words - (FrameBursts - 1) * Beats;
    localparam int unsigned IndexBits   = FrameBursts > 1 ? $clog2(FrameBursts) : 1;

    logic [IndexBits-1:0] unused_index;  // burst of the frame
    logic [         24:0] block_q;
    logic [ RoomBits-1:0] room_q;   // words neither stored nor on their way
    logic last, pop, fifo_ready, fifo_valid;

    assign request[i]      = room_q >= RoomBits'(Beats);
    assign block[i*25+:25] = block_q;
    assign length[i*4+:4]  = last ? 4'(LastBeats - 1) : 4'(Beats - 1);
    assign out_valid_o[i]  = fifo_valid && run_q;
    assign pop             = out_valid_o[i] && out_ready_i[i];

    counter #(
        .Count(FrameBursts)
    ) i_burst (
        .clk_i,
        .rst_ni (run_q),
        .step_i (grant[i]),
        .count_o(unused_index),
        .last_o (last)
    );

    always_ff @(posedge clk_i) begin
      if (!run_q) begin
        block_q <= base_i[i*32+7+:25];
        room_q  <= RoomBits'(FifoDepth);
      end else begin
        if (grant[i]) block_q <= last ? base_i[i*32+7+:25] : block_q + 25'd1;
        room_q <= room_q + RoomBits'(pop) - (grant[i] ? (last ? RoomBits'(LastBeats) : RoomBits'(Beats)) : RoomBits'(0));
      end
    end

    fifo #(
        .Width(64),
        .Depth(FifoDepth)
    ) i_fifo (
        .clk_i,
        .rst_ni     (run_q),
        .in_data_i  (m_axi_rdata),
        .in_valid_i (push[i]),
        .in_ready_o (fifo_ready),
        .out_data_o (out_data_o[i*64+:64]),
        .out_valid_o(fifo_valid),
        .out_ready_i(out_ready_i[i])
    );

    logic unused_port;
    assign unused_port = &{1'b0, base_i[i*32+:7], fifo_ready};
  end

  // ---------------------------------------------------------------- addresses: round robin

  // The first requesting port after the previous one; ports as one-hot words. The choice is registered: until its address goes
  // out, the room of that port only grows.
  logic [Ports-1:0] later, chosen, chosen_q, previous_q;
  logic choice_q, issue;  // choice_q: chosen_q waits for its address to go out

  assign later  = request & ~(previous_q | (previous_q - Ports'(1)));
  assign chosen = later != Ports'(0) ? later & (~later + Ports'(1)) : request & (~request + Ports'(1));
  assign issue  = choice_q && run_q && enable_i && !in_flight_full && (!m_axi_arvalid || m_axi_arready);
  assign grant  = issue ? chosen_q : Ports'(0);

  always_ff @(posedge clk_i) begin
    if (!choice_q) chosen_q <= chosen;
    choice_q <= run_q && !issue && (choice_q || request != Ports'(0));
  end

  logic [24:0] araddr_d;
  logic [ 3:0] arlen_d;

  always_comb begin
    {araddr_d, arlen_d} = 29'd0;
    for (int unsigned i = 0; i < Ports; i++)
      if (chosen_q[i]) {araddr_d, arlen_d} = {araddr_d, arlen_d} | {block[i*25+:25], length[i*4+:4]};
  end

  logic [24:0] araddr_q;
  logic [ 3:0] arlen_q;

  always_ff @(posedge clk_i) begin
    if (issue) {araddr_q, arlen_q} <= {araddr_d, arlen_d};

    if (!rst_ni) begin
      previous_q    <= Ports'(1) << (Ports - 1);
      m_axi_arvalid <= 1'b0;
    end else begin
      if (issue) previous_q <= chosen_q;
      m_axi_arvalid <= issue || (m_axi_arvalid && !m_axi_arready);
    end
  end

  assign m_axi_arid    = 1'b0;
  assign m_axi_araddr  = {araddr_q, 7'd0};
  assign m_axi_arlen   = {4'd0, arlen_q};
  assign m_axi_arsize  = 3'd3;     // 8 bytes
  assign m_axi_arburst = 2'b01;    // INCR
  assign m_axi_arprot  = 3'b000;
  assign m_axi_arcache = 4'b0011;
  assign m_axi_rready  = 1'b1;

  // ---------------------------------------------------------------- data: in the order of the addresses

  // Port of each burst in flight, oldest at tail_q. A burst counts from the moment its address is offered.
  logic [Bursts*Ports-1:0] owner_q;
  logic [BurstBits-1:0] head_q, tail_q;
  logic [BurstBits:0] in_flight_q;
  logic [Ports-1:0] owner;
  logic beat, finish;

  assign in_flight_none = in_flight_q == (BurstBits + 1)'(0);
  assign in_flight_full = in_flight_q == (BurstBits + 1)'(Bursts);
  assign owner          = owner_q[tail_q*Ports+:Ports];
  assign beat           = m_axi_rvalid && !in_flight_none;
  assign finish         = beat && m_axi_rlast;
  assign push           = beat && run_q ? owner : Ports'(0);

  always_ff @(posedge clk_i) begin
    if (issue) owner_q[head_q*Ports+:Ports] <= chosen_q;

    if (!rst_ni) begin
      head_q      <= BurstBits'(0);
      tail_q      <= BurstBits'(0);
      in_flight_q <= (BurstBits + 1)'(0);
      error_o     <= 1'b0;
    end else begin
      if (issue) head_q <= head_q + BurstBits'(1);
      if (finish) tail_q <= tail_q + BurstBits'(1);
      in_flight_q <= in_flight_q + (BurstBits + 1)'(issue) - (BurstBits + 1)'(finish);
      if (beat && run_q && m_axi_rresp != 2'b00) error_o <= 1'b1;
      else if (!run_q && enable_i && in_flight_none) error_o <= 1'b0;
    end
  end

  logic unused;
  assign unused = &{1'b0, m_axi_rid};

endmodule
