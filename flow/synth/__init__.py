"""Synthesis of emitted RTL by Yosys, and static timing of its netlists: resources and clock of a design, estimated
without a vendor's tool.

parts      the distinct instances of the top, each synthesised on its own
synthesis  Yosys over them, in parallel, cached by content; yosys finds it, rom expands distributed ROMs
netlist    reads netlists: counts of resources, memories and what they were mapped to
delays     data-sheet delays of the primitives; graph: longest paths of one netlist; timing: of a design
report     the figures by node, beside the plan
simulation the netlists of a design in Verilator against the golden model; verilog writes them, primitives.sv has models
           of what they consist of
"""
