# Runs a Vitis HLS script in a child interpreter whose Vitis HLS commands record themselves and keep a model of the project.
#
#   tclsh vitis_hls_stubs.tcl SCRIPT ROOT LOG
#
# LOG is that of stubs.tcl. A command without what it needs from those before it is an error, also where Vitis HLS would go on
# with a default. Export writes the accelerator's IP as vivado_stubs.tcl reads it; interfaces are those of the top's INTERFACE
# pragmas, with the names that UG1399 and public block designs give them.

lassign $argv script root log_path
source [file join [file dirname [file normalize [info script]]] stubs.tcl]

set project {}
set solution {}
set top {}
set part {}
set period {}
set synthesised 0
lassign {} sources testbench

proc need {args} {
    foreach {name opener} $args {
        if {[set ::$name] in {{} 0}} { error "$name is missing: call $opener first" }
    }
}

command open_project {-reset 0} { set ::project $rest }
command set_top {} {
    need project open_project
    set ::top $rest
}
command add_files {-tb 0 -cflags 1} {
    need project open_project
    if {![file isfile $rest]} { error "add_files: there is no $rest" }
    lappend ::[expr {[dict exists $flags -tb] ? "testbench" : "sources"}] $rest
}
command open_solution {-reset 0 -flow_target 1} {
    need project open_project
    if {[dict get $flags -flow_target] ne "vivado"} { error "open_solution: interfaces of flow [dict get $flags -flow_target]" }
    set ::solution $rest
}
command set_part {} {
    need solution open_solution
    set ::part $rest
}
command create_clock {-period 1 -name 1} {
    need solution open_solution
    set ::period [dict get $flags -period]
}
command csim_design {} {
    need solution open_solution sources add_files testbench {add_files -tb}
    set text [joined $::testbench]
    if {![regexp {\mint main\(} $text]} { error "csim_design: the testbench has no main" }
    foreach {- option} [regexp -all -inline {read_file<\w+>\(options\["(\w+)"\]\)} $text] {
        regexp "\\{\"$option\", \"(\[\\w.\]+)\"\\}" $text - name
        if {[lsearch $::testbench */$name] < 0} { error "csim_design: the testbench finds no $name" }
    }
}
command csynth_design {} {
    need solution open_solution top set_top part set_part period create_clock sources add_files
    if {![regexp "\nvoid $::top\\((.*?)\\) \{" [joined $::sources] - arguments]} { error "csynth_design: no function $::top" }
    set ::arguments [regsub -all {\s+} $arguments " "]
    set ::synthesised 1
    write [file join $::project $::solution syn report csynth.xml] [synthesis_report]
}
command cosim_design {-rtl 1} {
    need synthesised csynth_design
    set line "|   Verilog|      Pass|  600000|  600000|  600000|  300000|  300000|  300000|  900000|"
    write [file join $::project $::solution sim report ${::top}_cosim.rpt] "$line\n"
}
command export_design {-format 1 -ipname 1 -vendor 1 -library 1 -version 1 -description 1 -output 1} {
    need synthesised csynth_design
    dict with flags {}
    if {${-format} ne "ip_catalog"} { error "export_design: no IP of format ${-format}" }
    set ip [exported [joined $::sources] $::arguments]
    write [file join $::project $::solution impl ip component.xml] [list ${-vendor}:${-library}:${-ipname}:${-version} $ip]
}

# What csynth.xml says of a dataflow region with one loop.
proc synthesis_report {} {
    return "<profile><ReportVersion><Version>2022.2</Version></ReportVersion>
<UserAssignments><TopModelName>$::top</TopModelName><TargetClockPeriod>$::period</TargetClockPeriod>
<ClockUncertainty>2.7</ClockUncertainty></UserAssignments>
<PerformanceEstimates><SummaryOfTimingAnalysis><EstimatedClockPeriod>7.3</EstimatedClockPeriod></SummaryOfTimingAnalysis>
</PerformanceEstimates><AreaEstimates>
<Resources><BRAM_18K>20</BRAM_18K><DSP>10</DSP><FF>9000</FF><LUT>8000</LUT></Resources>
<AvailableResources><BRAM_18K>280</BRAM_18K><DSP>220</DSP><FF>106400</FF><LUT>53200</LUT></AvailableResources>
</AreaEstimates><ModuleInformation>
<Module><Name>dataflow_in_loop_VITIS_LOOP_1_1</Name><PerformanceEstimates><SummaryOfOverallLatency>
<Worst-caseLatency>700000</Worst-caseLatency><PipelineInitiationInterval>300000</PipelineInitiationInterval>
<PipelineType>dataflow</PipelineType></SummaryOfOverallLatency></PerformanceEstimates></Module>
<Module><Name>engine</Name><PerformanceEstimates><SummaryOfLoopLatency><VITIS_LOOP_2_1><TripCount>299990</TripCount>
<PipelineII>1</PipelineII><PipelineDepth>6</PipelineDepth></VITIS_LOOP_2_1></SummaryOfLoopLatency></PerformanceEstimates>
</Module></ModuleInformation></profile>"
}

# The C++ of some files, with the headers beside them.
proc joined {files} {
    set text {}
    foreach file [lsearch -all -inline $files *.cpp] {
        append text [content $file]
        foreach header [glob -nocomplain -directory [file dirname $file] *.hpp] { append text [content $header] }
    }
    return $text
}

# The IP of a top with these arguments.
proc exported {text arguments} {
    lassign {} interfaces spaces segments modes
    set pragma {^#pragma HLS INTERFACE mode=(\w+) port=(\w+)(?: bundle=(\w+))?}
    foreach {- mode port bundle} [regexp -all -inline -line $pragma $text] {
        dict lappend modes $port $mode
        switch $mode {
            axis {
                set way [expr {[regexp "flow::read_\\w+<\[^;\]*>\\($port," $text] ? "slave" : "master"}]
                lappend interfaces $port $way AXIS [bits_of $port $arguments $text]
            }
            m_axi {
                lappend interfaces m_axi_$bundle master AXI4 [bits_of $port $arguments $text]
                lappend spaces Data_m_axi_$bundle
            }
            s_axilite {
                if {"s_axi_$bundle" ni $interfaces} {
                    lappend interfaces s_axi_$bundle slave AXI4LITE 32
                    lappend segments s_axi_$bundle/Reg
                }
            }
            default { error "csynth_design: no INTERFACE of mode $mode" }
        }
    }
    foreach {argument wanted} [concat [wanted_modes $arguments] return s_axilite] {
        if {![dict exists $modes $argument] || [lsort [dict get $modes $argument]] ne $wanted} {
            error "csynth_design: $argument of the top has no INTERFACE of mode $wanted"
        }
    }
    set pins {ap_clk clock I ap_rst_n reset I interrupt interrupt O}
    return [dict create interfaces $interfaces pins $pins segments $segments spaces $spaces]
}

# {argument modes ...}: streams, pointers and numbers.
proc wanted_modes {arguments} {
    set wanted {}
    foreach argument [split $arguments ,] {
        switch -glob $argument {
            *hls::stream* { set modes axis }
            {*\**} { set modes {m_axi s_axilite} }
            default { set modes s_axilite }
        }
        lappend wanted [regexp -inline {\w+$} $argument] $modes
    }
    return $wanted
}

proc bits_of {port arguments text} {
    if {[regexp "ap_uint<(\\d+)>\\* $port\\M" $arguments - bits]} { return $bits }
    regexp "flow::(\\w+)>& $port\\M" $arguments - type
    regexp "using $type = axis_word<(\\d+)>" $text - bits
    return $bits
}

# ---------------------------------------------------------------- run

run_script
