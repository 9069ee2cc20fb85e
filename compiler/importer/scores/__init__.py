"""Gate scores as functions: what exporters spell in many ways has one form here."""
