"""Per-image output record: counters, then gate scores, then results (design section 7)."""

#: 32-bit counters in the order in which HALT writes them at the head of an output record.
COUNTERS: tuple[tuple[str, str], ...] = (
    ("cycles", "cycles from the previous HALT (first image: from start) to this HALT"),
    ("mac", "cycles in which the PE array accumulates"),
    ("weight_wait", "cycles a convolution waits for weights"),
    ("drain", "cycles a convolution waits for its epilogue"),
    ("gate", "cycles in which nothing but a GATE, DENSE or EXIT_IF runs"),
    ("copy", "cycles in which a COPY or POOL runs, a GATE beside it or not"),
    ("io", "cycles in which nothing but LOAD, GLOAD, STORE runs"),
    ("overhead", "cycles left: descriptor fetch and decode, pipeline fill"),
    ("weight_bytes", "bytes of convolution weights and parameters fetched"),
    ("read_bytes", "bytes read in all"),
    ("write_bytes", "bytes written in all, this record not included"),
    ("executed", "descriptors executed"),
    ("skipped", "descriptors skipped by their predicate"),
    ("channels_executed", "output channels computed by executed or skipped CONVs"),
    ("channels_skipped", "output channels skipped: by list or by predicate"),
    ("exit", "index of the HALT descriptor that ended the image"),
)
COUNTER_NAMES = tuple(name for name, _ in COUNTERS)

#: Bytes of the counter block at the head of every output record.
COUNTER_BYTES = 4 * len(COUNTERS)
