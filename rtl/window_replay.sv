/// The front of a folded engine: gives each window of Beats input beats Passes times, with the address of its weights.
///
/// Pass 0 takes the beats from the stream as they come and keeps them in a buffer of Beats words; the later passes replay
/// the buffer while the input waits. A beat leaves every cycle that is neither stalled nor, in pass 0, without input, so
/// passes and windows follow each other without a gap. With one pass there is no buffer.
///
/// A window of several Groups (of a grouped convolution) comes group after group; each is given Passes times, and the addresses run on
/// through all of them.
///
/// `address_o` belongs to the beat being fetched: a memory that reads it under `!stall_i` gives its word together with
/// `data_o`. Everything named `data_o, valid_o, first_o, last_o` is one register stage behind.
module window_replay #(
    parameter  int unsigned Width       = 32,  // bits a beat
    parameter  int unsigned Beats       = 18,  // beats a window, or a group of it
    parameter  int unsigned Passes      = 1,   // times each is given
    parameter  int unsigned Groups      = 1,   // of a window
    localparam int unsigned Addresses   = Beats * Passes * Groups,
    localparam int unsigned AddressBits = Addresses > 1 ? $clog2(Addresses) : 1
) (
    input  logic                   clk_i,
    input  logic                   rst_ni,      // back to the first beat of a window
    input  logic [      Width-1:0] in_data_i,   // a beat of a window
    input  logic                   in_valid_i,
    output logic                   in_ready_o,
    input  logic                   stall_i,     // holds the stage
    output logic [AddressBits-1:0] address_o,   // (group * Passes + pass) * Beats + beat, of the beat being fetched
    output logic [      Width-1:0] data_o,      // the beat
    output logic                   valid_o,     // 0: a bubble
    output logic                   first_o,     // the first beat of its pass
    output logic                   last_o       // the last beat of its pass
);

  localparam int unsigned BeatBits = Beats > 1 ? $clog2(Beats) : 1;

  logic [   BeatBits-1:0] beat;
  logic                   first_pass_q;
  logic                   fetch, first_beat, last_beat, last_address, last_pass;
  logic [      Width-1:0] data_d, data_q;
  logic                   valid_q, first_q, last_q;

  assign fetch      = !stall_i && (!first_pass_q || in_valid_i);
  assign first_beat = beat == BeatBits'(0);

  counter #(
      .Count(Addresses)
  ) i_address (
      .clk_i,
      .rst_ni,
      .step_i (fetch),
      .count_o(address_o),
      .last_o (last_address)
  );

  counter #(
      .Count(Beats)
  ) i_beat (
      .clk_i,
      .rst_ni,
      .step_i (fetch),
      .count_o(beat),
      .last_o (last_beat)
  );

  if (Groups == 1) begin : gen_window
    assign last_pass = last_address;  // of its last beat
  end else begin : gen_groups
    localparam int unsigned PassBits = Passes > 1 ? $clog2(Passes) : 1;

    logic [PassBits-1:0] pass;
    logic unused;

    counter #(
        .Count(Passes)
    ) i_pass (
        .clk_i,
        .rst_ni,
        .step_i (fetch && last_beat),
        .count_o(pass),
        .last_o (last_pass)
    );
    assign unused = &{1'b0, pass, last_address};
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) first_pass_q <= 1'b1;
    else if (fetch && last_beat) first_pass_q <= last_pass;
  end

  if (Passes == 1) begin : gen_stream
    assign data_d = in_data_i;
  end else if (Beats == 1) begin : gen_hold
    assign data_d = first_pass_q ? in_data_i : data_q;
  end else begin : gen_buffer
    (* ram_style = "distributed" *) logic [Width-1:0] buffer[Beats];
    always_ff @(posedge clk_i) if (fetch && first_pass_q) buffer[beat] <= in_data_i;
    assign data_d = first_pass_q ? in_data_i : buffer[beat];
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= 1'b0;
    else if (!stall_i) valid_q <= fetch;
    if (fetch) begin
      data_q  <= data_d;
      first_q <= first_beat;
      last_q  <= last_beat;
    end
  end

  assign in_ready_o = first_pass_q && !stall_i;
  assign data_o     = data_q;
  assign valid_o    = valid_q;
  assign first_o    = first_q;
  assign last_o     = last_q;

endmodule
