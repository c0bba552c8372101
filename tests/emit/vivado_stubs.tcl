# Runs a Vivado script in a child interpreter whose Vivado commands record themselves and keep a model of the design.
#
#   tclsh vivado_stubs.tcl SCRIPT ROOT LOG MODEL [option value]...
#
# LOG is that of stubs.tcl; MODEL gets, after a script without error, the design, a line of words each. IPs, pins, interfaces,
# configurations and properties that the tables below lack are errors. The tables hold what public block designs show of the
# vendor's IPs; the accelerator's is in the component.xml of its repository, in a format of these models and not of Vivado.
#
# Options: board (the board files are installed), pll and clock (what the IO PLL and FCLK_CLK0 get, MHz), progress (of the runs), slack and hold (ns),
# memory (of $readmemh that synthesis does not find), inferred (package_project makes memory maps and takes data files).

lassign $argv script root log_path model_path
array set option {board 1 pll {} clock {} progress 100% slack 0.5 hold 0.02 memory {} inferred 1}
array set option [lrange $argv 4 end]
set models [file dirname [file normalize [info script]]]
source [file join $models stubs.tcl]

# ---------------------------------------------------------------- what IPs look like

# {configuration default ...} of an IP; those without a default are numbers that change nothing in the model
set defaults(xilinx.com:ip:processing_system7:5.5) {
    PCW_EN_CLK0_PORT 1 PCW_FPGA0_PERIPHERAL_FREQMHZ 50 PCW_USE_M_AXI_GP0 1 PCW_USE_S_AXI_HP0 0 PCW_USE_S_AXI_HP1 0
    PCW_S_AXI_HP0_DATA_WIDTH 64 PCW_S_AXI_HP1_DATA_WIDTH 64 PCW_FCLK0_PERIPHERAL_CLKSRC {IO PLL}
    PCW_CRYSTAL_PERIPHERAL_FREQMHZ 33.333333 PCW_APU_PERIPHERAL_FREQMHZ 666.666666 PCW_UIPARAM_DDR_FREQ_MHZ 533.333333
    PCW_PRESET_BANK1_VOLTAGE {LVCMOS 3.3V} PCW_QSPI_PERIPHERAL_ENABLE 0 PCW_QSPI_PERIPHERAL_FREQMHZ 200
    PCW_QSPI_GRP_SINGLE_SS_ENABLE 0 PCW_ENET0_PERIPHERAL_ENABLE 0 PCW_ENET0_ENET0_IO <Select>
    PCW_ENET0_PERIPHERAL_FREQMHZ {1000 Mbps} PCW_SD0_PERIPHERAL_ENABLE 0 PCW_SD0_SD0_IO <Select> PCW_SDIO_PERIPHERAL_FREQMHZ 100
    PCW_UART0_PERIPHERAL_ENABLE 0 PCW_UART0_UART0_IO <Select> PCW_UART_PERIPHERAL_FREQMHZ 100}
set defaults(xilinx.com:ip:axi_dma:7.1) {
    c_include_sg 1 c_sg_length_width 14 c_include_mm2s 1 c_m_axi_mm2s_data_width 32 c_m_axis_mm2s_tdata_width 32
    c_include_mm2s_dre 0 c_mm2s_burst_size 16 c_include_s2mm 1 c_m_axi_s2mm_data_width 32 c_s_axis_s2mm_tdata_width 32
    c_include_s2mm_dre 0 c_s2mm_burst_size 16}
set defaults(xilinx.com:ip:axi_interconnect:2.1) {NUM_SI 1 NUM_MI 2}
set defaults(xilinx.com:ip:proc_sys_reset:5.0) {}

# {name kind direction} of the pins that a design must or may connect
proc pins_of {type config} {
    array set c $config
    switch -glob $type {
        *:processing_system7:* {
            set pins {FCLK_RESET0_N reset O M_AXI_GP0_ACLK clock I}
            if {$c(PCW_EN_CLK0_PORT)} { lappend pins FCLK_CLK0 clock O }
            foreach port {HP0 HP1} { if {$c(PCW_USE_S_AXI_$port)} { lappend pins S_AXI_${port}_ACLK clock I } }
        }
        *:axi_dma:* {
            set pins {s_axi_lite_aclk clock I m_axi_mm2s_aclk clock I m_axi_s2mm_aclk clock I axi_resetn reset I
                mm2s_introut interrupt O s2mm_introut interrupt O mm2s_prmry_reset_out_n reset O s2mm_prmry_reset_out_n reset O}
            if {$c(c_include_sg)} { lappend pins m_axi_sg_aclk clock I }
        }
        *:axi_interconnect:* {
            set pins {ACLK clock I ARESETN reset I}
            foreach port [interconnect_ports $config] { lappend pins ${port}_ACLK clock I ${port}_ARESETN reset I }
        }
        *:proc_sys_reset:* {
            set pins {slowest_sync_clk clock I ext_reset_in reset I interconnect_aresetn reset O peripheral_aresetn reset O}
        }
        popbin:* { set pins [dict get $::catalog $type pins] }
    }
    return $pins
}

# {name mode protocol bits} of the interfaces
proc interfaces_of {type config} {
    array set c $config
    switch -glob $type {
        *:processing_system7:* {
            set interfaces {DDR master ddr 0 FIXED_IO master io 0 M_AXI_GP0 master AXI3 32}
            foreach port {HP0 HP1} {
                if {$c(PCW_USE_S_AXI_$port)} { lappend interfaces S_AXI_$port slave AXI3 $c(PCW_S_AXI_${port}_DATA_WIDTH) }
            }
        }
        *:axi_dma:* {
            set interfaces [list S_AXI_LITE slave AXI4LITE 32 M_AXI_MM2S master AXI4 $c(c_m_axi_mm2s_data_width) \
                M_AXIS_MM2S master AXIS $c(c_m_axis_mm2s_tdata_width) M_AXI_S2MM master AXI4 $c(c_m_axi_s2mm_data_width) \
                S_AXIS_S2MM slave AXIS $c(c_s_axis_s2mm_tdata_width)]
            if {$c(c_include_sg)} { lappend interfaces M_AXI_SG master AXI4 32 }
        }
        *:axi_interconnect:* {
            set interfaces {}
            foreach port [interconnect_ports $config] {
                lappend interfaces ${port}_AXI [expr {[string match S* $port] ? "slave" : "master"}] any 0
            }
        }
        *:proc_sys_reset:* { set interfaces {} }
        popbin:* { set interfaces [dict get $::catalog $type interfaces] }
    }
    return $interfaces
}

proc interconnect_ports {config} {
    set ports {}
    foreach {side key} {S NUM_SI M NUM_MI} {
        for {set i 0} {$i < [dict get $config $key]} {incr i} { lappend ports [format %s%02d $side $i] }
    }
    return $ports
}

# ---------------------------------------------------------------- properties: objects are kind:name

array set properties {
    project {board_part ip_repo_paths} fileset {top} file {file_type synth_checkpoint_mode}
    core {name version display_name description supported_families} bus {slave_memory_map_ref master_address_space_ref}
    block {range width usage} space {range width} entry {type} run {STEPS.SYNTH_DESIGN.TCL.PRE}
}

command set_property {-dict 1} {
    if {![dict exists $flags -dict]} {
        dict set flags -dict [lrange $rest 0 1]
        set rest [lrange $rest 2 end]
    }
    set objects [lindex $rest 0]
    set pairs [dict get $flags -dict]
    if {[llength $objects] == 0} { error "set_property $rest: no object" }
    foreach object $objects {
        regexp {^(\w+):(.*)$} $object - kind id
        foreach {name value} $pairs {
            if {$kind eq "cell"} {
                set key [regsub {^CONFIG\.} $name {}]
                if {$key eq $name || ![dict exists $::config($id) $key]} { error "$id has no property $name" }
                dict set ::config($id) $key $value
            } elseif {$name ni $::properties($kind)} {
                error "a $kind has no property $name"
            } else {
                set ::value($object,$name) $value
            }
        }
    }
}
# Of Vivado's choice only two cases are known: PYNQ's boards with the clocks of their boot image, and the defaults.
proc io_pll {} {
    if {$::option(pll) ne ""} { return $::option(pll) }
    dict with ::config(ps) {
        return [expr {$PCW_CRYSTAL_PERIPHERAL_FREQMHZ == 50 && $PCW_ENET0_PERIPHERAL_ENABLE ? 1000.000 : 1600.000}]
    }
}
query get_property {} {
    lassign $rest name object
    switch -glob $name,$object {
        CONFIG.PCW_IO_IO_PLL_FREQMHZ,cell:ps { return [io_pll] }
        CONFIG.PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ,cell:ps {
            set asked [dict get $::config(ps) PCW_FPGA0_PERIPHERAL_FREQMHZ]
            return [expr {$::option(clock) eq "" ? [io_pll] / round([io_pll] / $asked) : $::option(clock)}]
        }
        PROGRESS,run:* { return $::option(progress) }
        STATUS,run:* { return [expr {$::option(progress) eq "100%" ? "complete" : "failed"}] }
        STATS.WNS,run:impl_1 { return $::option(slack) }
        STATS.WHS,run:impl_1 { return $::option(hold) }
        interface_mode,bus:* { return [dict get $::buses [string range $object 4 end]] }
        name,group:* { return [string range $object 6 end] }
        default { error "'$object' has no property $name to read" }
    }
}

# ---------------------------------------------------------------- projects, files, runs

command create_project {-force 0 -part 1} {
    if {[info exists ::project]} { error "create_project: a project is open" }
    lassign [concat $rest [dict get $flags -part]] ::project ::project_folder ::part ::files
    file mkdir $::project_folder
}
command close_project {} { unset ::project }
set plain {wait_on_run open_run save_bd_design make_wrapper update_compile_order set_msg_config}
foreach name [concat $plain validate_bd_design] {
    command $name {-id 1 -new_severity 1 -fileset 1 -files 1 -top 0 -import 0} {}
}
set catalog {}
command update_ip_catalog {-rebuild 0} {
    set component [file join $::value(project:$::project,ip_repo_paths) component.xml]
    if {[file isfile $component]} { dict for {vlnv ip} [content $component] { dict set ::catalog $vlnv $ip } }
}
query current_project {} { return project:$::project }
query current_fileset {} { return fileset:sources_1 }
command add_files {-norecurse 0} {
    foreach file [lindex $rest 0] {
        if {![file isfile $file]} { error "add_files: there is no $file" }
        lappend ::files $file
    }
}
query get_files {} {
    set found {}
    foreach file $::files { if {[string match $rest [file tail $file]]} { lappend found file:$file } }
    if {$found eq ""} { error "get_files: no file is called $rest" }
    return $found
}
query get_board_parts {-quiet 0} { return [expr {$::option(board) ? $rest : ""}] }
query get_ipdefs {-quiet 0} { return [expr {[dict exists $::catalog $rest] ? $rest : ""}] }
query get_runs {} { return [expr {$rest in {synth_1 impl_1} ? "run:$rest" : [error "there is no run $rest"]}] }
command launch_runs {-jobs 1 -to_step 1} {
    set folder [file join $::project_folder $::project.runs $rest]
    set text "INFO: $rest\n"
    if {$::option(memory) ne "" && $rest eq "synth_1"} {
        append text "CRITICAL WARNING: \[Synth 8-4445\] could not open \$readmem data file '$::option(memory)'; ignoring\n"
    }
    write [file join $folder runme.log] $text
    if {$rest eq "synth_1" && [info exists ::value(run:synth_1,STEPS.SYNTH_DESIGN.TCL.PRE)]} {
        cd $folder
        child eval [list source $::value(run:synth_1,STEPS.SYNTH_DESIGN.TCL.PRE)]
    }
    if {$rest eq "impl_1" && [dict get $flags -to_step] eq "write_bitstream"} { write [file join $folder top_wrapper.bit] bits }
}
# The samples in reports/ are of a design with this slack.
foreach {command sample} {report_utilization utilization report_timing_summary timing report_power power} {
    command $command {-file 1} "write \[dict get \$flags -file\] \[sample $sample\]"
}
proc sample {name} { return [string map [list -0.471 $::option(slack)] [content [file join $::models reports $name.rpt]]] }

# ---------------------------------------------------------------- IP packager

command ipx::package_project {-root_dir 1 -vendor 1 -library 1 -taxonomy 1 -force 0} {
    set ::vlnv [dict get $flags -vendor]:[dict get $flags -library]
    set ::ip [dict get $flags -root_dir]
    set text [content [lsearch -inline $::files */$::value(fileset:sources_1,top).v]]
    # Interfaces by their attributes, as Vivado does: the mode by the direction of VALID, bits by that of DATA.
    lassign {} ::buses bits ::pins ::clocked ::parts ::interfaces
    set port {X_INTERFACE_INFO = "xilinx.com:(\w+):(\w+):1.0 (\w+) (\w+)" \*\)}
    append port {\s+(?:\(\*[^*]*\*\)\s+)?(input|output) wire (?:\[(\d+):0\] )?}
    foreach {- class kind name signal way last} [regexp -all -inline $port $text] {
        if {$class eq "signal"} {
            lappend ::pins $name $kind I
        } elseif {[regexp {^(AWVALID|ARVALID|TVALID)$} $signal]} {
            dict set ::buses $name [expr {$way eq "output" ? "master" : "slave"}]
        } elseif {$signal in {RDATA TDATA}} {
            dict set bits $name [expr {$last + 1}]
        }
    }
    dict for {name mode} $::buses {
        set protocol [expr {[string match *axis $name] ? "AXIS" : $name eq "s_axi" ? "AXI4LITE" : "AXI4"}]
        lappend ::interfaces $name $mode $protocol [dict get $bits $name]
    }
    if {$::option(inferred)} {
        lappend ::parts map:s_axi block:s_axi/reg0
        if {[dict exists $::buses m_axi]} { lappend ::parts space:m_axi }
    }
    foreach group {xilinx_anylanguagesynthesis xilinx_anylanguagebehavioralsimulation} {
        foreach file $::files {
            if {$::option(inferred) || [file extension $file] ne ".hex"} { lappend ::parts entry:$group/src/[file tail $file] }
        }
    }
}
query ipx::current_core {} { return core:current }
query ipx::get_bus_interfaces {-quiet 0 -of_objects 1} { return [expr {[dict exists $::buses $rest] ? "bus:$rest" : ""}] }
query ipx::get_memory_maps {-quiet 0 -of_objects 1} { return [part map:$rest] }
query ipx::get_address_spaces {-quiet 0 -of_objects 1} { return [part space:$rest] }
query ipx::get_address_blocks {-quiet 0 -of_objects 1} { return [part block:[id [dict get $flags -of_objects]]/$rest] }
query ipx::get_files {-quiet 0 -of_objects 1} { return [part entry:[id [dict get $flags -of_objects]]/$rest] }
query ipx::get_file_groups {-of_objects 1} {
    return {group:xilinx_anylanguagesynthesis group:xilinx_anylanguagebehavioralsimulation group:xilinx_xpgui}
}
command ipx::add_memory_map {} { add map:[lindex $rest 0] }
command ipx::add_address_space {} { add space:[lindex $rest 0] }
command ipx::add_address_block {} { add block:[id [lindex $rest 1]]/[lindex $rest 0] }
command ipx::add_file {} {
    if {![file isfile [file join $::ip [lindex $rest 0]]]} { error "the IP has no file [lindex $rest 0]" }
    add entry:[id [lindex $rest 1]]/[lindex $rest 0]
}
command ipx::associate_bus_interfaces {-busif 1 -clock 1} {
    if {[dict get $flags -clock] ni $::pins} { error "the IP has no clock [dict get $flags -clock]" }
    lappend ::clocked [dict get $flags -busif]
}
foreach name {create_xgui_files update_checksums check_integrity} { command ipx::$name {} {} }
command ipx::save_core {} {
    set spaces [lmap part [lsearch -all -inline $::parts space:*] { id $part }]
    set segments [lmap part [lsearch -all -inline $::parts block:*] { id $part }]
    set ip [dict create interfaces $::interfaces pins $::pins segments $segments spaces $spaces]
    set vlnv $::vlnv:$::value(core:current,name):$::value(core:current,version)
    write [file join $::ip component.xml] [list $vlnv $ip]
}
proc id {object} { return [regsub {^\w+:} $object {}] }
proc part {object} { return [expr {$object in $::parts ? $object : ""}] }
proc add {object} {
    if {$object in $::parts} { error "the IP has $object already" }
    lappend ::parts $object
    return $object
}

# ---------------------------------------------------------------- block design

command create_bd_design {} { lappend ::files [lindex $rest 0].bd }
command create_bd_cell {-type 1 -vlnv 1} {
    set vlnv [dict get $flags -vlnv]
    if {[dict exists $::catalog $vlnv]} { set ::defaults($vlnv) {} }
    if {![info exists ::defaults($vlnv)]} { error "the catalog has no $vlnv" }
    set ::type($rest) $vlnv
    set ::config($rest) $::defaults($vlnv)
    return cell:$rest
}
query get_bd_cells {} { return [expr {[info exists ::type($rest)] ? "cell:$rest" : [error "there is no cell $rest"]}] }
# The words after name in a list of rows.
proc entry {name rows stride} {
    for {set i 0} {$i < [llength $rows]} {incr i $stride} {
        if {[lindex $rows $i] eq $name} { return [lrange $rows $i+1 [expr {$i + $stride - 1}]] }
    }
}
proc find {kind path} {
    lassign [split $path /] cell name
    if {![info exists ::type($cell)]} { return "" }
    set row [expr {$kind eq "pin"? [pins_of $::type($cell) $::config($cell)] : [interfaces_of $::type($cell) $::config($cell)]}]
    return [entry $name $row [expr {$kind eq "pin" ? 3 : 4}]]
}
query get_bd_pins {-quiet 0} { return [expr {[find pin $rest] eq "" ? "" : "pin:$rest"}] }
query get_bd_intf_pins {-quiet 0} { return [expr {[find interface $rest] eq "" ? "" : "interface:$rest"}] }
command apply_bd_automation {-rule 1 -config 1} {
    foreach name [split [dict get [dict get $flags -config] make_external] ,] {
        lappend ::peers([id $rest]/[string trim $name]) external
    }
}
command connect_bd_intf_net {} {
    lassign $rest from to
    lassign [find interface [id $from]] mode protocol bits
    lassign [find interface [id $to]] to_mode to_protocol to_bits
    if {[lsort [list $mode $to_mode]] ne {master slave}} { error "$from is $mode, $to is $to_mode" }
    if {"any" in [list $protocol $to_protocol]} {
        if {"AXIS" in [list $protocol $to_protocol]} { error "$from and $to: a stream into an interconnect" }
    } elseif {$protocol ne $to_protocol || $bits != $to_bits} {
        error "$from is $protocol of $bits bits, $to is $to_protocol of $to_bits"
    }
    lappend ::peers([id $from]) [id $to]
    lappend ::peers([id $to]) [id $from]
}
command connect_bd_net {} {
    lassign $rest from to
    lassign [find pin [id $from]] kind way
    lassign [find pin [id $to]] to_kind to_way
    if {[list $way $to_way $kind] ne [list O I $to_kind]} { error "$from ($kind $way) cannot drive $to ($to_kind $to_way)" }
    lappend ::drivers([id $to]) [id $from]
}
# The names of a kind (spaces or segments) that an accelerator's IP adds.
proc of_accelerator {kind} {
    return [lmap name [dict get $::catalog $::type(accelerator) $kind] { string cat accelerator/ $name }]
}
proc address_spaces {} { return [concat {ps/Data dma/Data_MM2S dma/Data_S2MM} [of_accelerator spaces]] }
proc address_segments {} {
    set known {dma/S_AXI_LITE/Reg ps/S_AXI_HP0/HP0_DDR_LOWOCM ps/S_AXI_HP1/HP1_DDR_LOWOCM}
    return [lmap name [concat $known [of_accelerator segments]] {
        if {[find interface [file dirname $name]] eq ""} { continue } else { set name }
    }]
}
query get_bd_addr_spaces {} {
    if {$rest ni [address_spaces]} { error "there is no address space $rest" }
    return $rest
}
query get_bd_addr_segs {} {
    if {$rest ni [address_segments]} { error "no address segment $rest" }
    return $rest
}
command assign_bd_address {-offset 1 -range 1 -target_address_space 1 -force 0} {
    dict with flags {}
    lappend ::addresses [list ${-target_address_space} $rest ${-offset} ${-range}]
}
command generate_target {} { write [file join $::project_folder $::project.gen/sources_1/bd/top/hw_handoff/top.hwh] handoff }

# ---------------------------------------------------------------- run, and write the model

run_script
set model [open $model_path w]
puts $model [list part $part]
puts $model [list top $value(fileset:sources_1,top)]
puts $model [concat board [lindex [array get value project:*,board_part] 1]]
foreach cell [lsort [array names type]] {
    puts $model [list cell $cell $type($cell)]
    foreach {name setting} $config($cell) { puts $model [list config $cell/$name $setting] }
    foreach {name kind way} [pins_of $type($cell) $config($cell)] {
        set driver [expr {[info exists drivers($cell/$name)] ? $drivers($cell/$name) : ""}]
        puts $model [concat [list pin $cell/$name $kind $way] $driver]
    }
    foreach {name mode protocol bits} [interfaces_of $type($cell) $config($cell)] {
        set peer [expr {[info exists peers($cell/$name)] ? $peers($cell/$name) : ""}]
        puts $model [concat [list interface $cell/$name $mode $protocol $bits] $peer]
    }
}
foreach space [address_spaces] { puts $model [list space $space] }
foreach segment [address_segments] { puts $model [list segment $segment] }
foreach address $addresses { puts $model [concat address $address] }
foreach bus [expr {[info exists clocked] ? $clocked : ""}] { puts $model [list clocked $bus] }
foreach item [expr {[info exists parts] ? $parts : ""}] { puts $model [list part_of_ip $item] }
close $model
