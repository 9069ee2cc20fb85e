"""The machine: its configurations, descriptors, rules, registers, counters, pins."""
