"""Plan and Allocation -> Package: descriptors, weight blob and metadata."""
