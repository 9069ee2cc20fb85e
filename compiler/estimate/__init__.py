"""What a Program costs: cycles, bytes and multiply-accumulates for given gate scores."""
