"""Graph -> Plan -> Allocation: what is computed when, what is skipped, where it lies."""
