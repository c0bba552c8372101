# What the models of Vivado and of Vitis HLS share: a child interpreter for a script, whose vendor commands record themselves.
#
# The including file has set script, root and log_path, defines commands, and calls run_script. Whatever is no command of Tcl,
# of the script or of the model is an error. The log gets every command that changes something, with root written as @.

set log [open $log_path w]

# ---------------------------------------------------------------- arguments and records

proc record {command words} {
    puts $::log [string map [list $::root @] "$command $words"]
}

# Splits words into the flags allowed (name: 1 with a value, 0 without) and the rest.
proc parse {command words allowed} {
    lassign {} flags rest
    while {[llength $words]} {
        set words [lassign $words word]
        if {![string match -* $word]} {
            lappend rest $word
        } elseif {![dict exists $allowed $word]} {
            error "$command: unknown flag $word"
        } elseif {[dict get $allowed $word]} {
            set words [lassign $words value]
            dict set flags $word $value
        } else {
            dict set flags $word 1
        }
    }
    return [list $flags $rest]
}

# Defines a command of the script: its flags, and a body that sees flags, rest and words. Queries are not recorded.
proc command {name allowed body {query 0}} {
    set start [expr {$query ? "" : "record [list $name] \$words"}]
    proc tool::$name words "lassign \[parse [list $name] \$words [list $allowed]\] flags rest\n$start\n$body"
    interp alias child $name {} call $name
}
proc query {name allowed body} { command $name $allowed $body 1 }
proc call {name args} { tool::$name $args }

namespace eval tool { namespace eval ipx {} }
interp create child
foreach name {exec socket load} { child hide $name }
child alias exit exit_script
proc exit_script {{code 0}} { error "exit $code" }
child eval {
    proc unknown {name args} { error "unknown command $name" }
    namespace eval ipx {}
}

# Runs the script; ends all with its message if it fails.
proc run_script {} {
    if {[catch { child eval [list source $::script] } message options] && $message ne "exit 0"} {
        puts stderr [dict get $options -errorinfo]
        exit 1
    }
    close $::log
}
proc write {path text} {
    file mkdir [file dirname $path]
    set file [open $path w]
    puts -nonewline $file $text
    close $file
}
proc content {path} {
    set file [open $path]
    set text [read $file]
    close $file
    return $text
}
