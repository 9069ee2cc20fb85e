"""The core as Yosys maps it: cells counted, netlists kept."""
