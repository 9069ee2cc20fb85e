"""Static timing of a core's netlist: an estimate, since nothing is placed or routed."""
