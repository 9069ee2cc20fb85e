# Benchmarks; included by the Makefile.

BENCH := build/bench

.PHONY: bench bench-peers resources

bench: $(STAMP) build/demo/net.onnx ## every row on the simulated core, into docs/results.md (an hour; QUICK=1: minutes, no document)
	$(BIN)/python -m penstock.bench.run $(if $(QUICK),--quick,--update)

build/demo/net.onnx:
	$(BIN)/penstock demo -o build/demo
