# Benchmarks; included by the Makefile. What they store, `make figures` writes into the documents.

.PHONY: bench bench-layers bench-several bench-exits bench-mlperf bench-zoo bench-families bench-peers resources speed

bench: $(STAMP) build/demo/net.onnx ## every row on the simulated core, into bench/results (an hour; QUICK=1: minutes, nothing stored)
	$(BIN)/penstock bench rows $(if $(QUICK),--quick)

bench-layers: $(STAMP) ## VGG16-BN and MobileNetV2 layer by layer on the simulated core, into bench/results (ten minutes)
	$(BIN)/penstock bench layers

bench-several: $(STAMP) ## VGG16-BN and MobileNetV2, several images a run, on the simulated core, into bench/results (ten minutes)
	$(BIN)/penstock bench several

bench-zoo: $(STAMP) ## the zoo's networks on 1,000 images of DATA_DIR on the simulated core, into bench/results/zoo (half an hour)
	@test -n "$(DATA_DIR)" || { echo 'usage: make bench-zoo DATA_DIR=<CIFAR-10 binary files>'; exit 2; }
	$(BIN)/penstock bench zoo --jobs 2 --data-dir $(DATA_DIR)

bench-families: $(STAMP) ## every family of gates, trained on digits, on the simulated core, into bench/results/families.json (half an hour)
	$(BIN)/penstock bench families

bench-mlperf: $(STAMP) ## MLPerf Tiny's reference networks of DATA_DIR as they are published, into bench/results/mlperf.json (five minutes; TASK=ic CONFIG=z7020x2: one on another core)
	@test -n "$(DATA_DIR)" || { echo 'usage: make bench-mlperf DATA_DIR=<folder of ic_float.onnx, ic_int8.onnx, ...>'; exit 2; }
	$(BIN)/penstock bench mlperf $(DATA_DIR) $(if $(TASK),--task $(TASK)) $(if $(CONFIG),--config $(CONFIG)) $(if $(LABELS),--images $(IMAGES) --labels $(LABELS))

bench-exits: $(STAMP) ## early exits on digits: trained, swept, on the simulated core, into bench/results/exits (ten minutes)
	$(BIN)/penstock bench exits

build/demo/net.onnx:
	$(BIN)/penstock demo -o build/demo

resources: $(STAMP) ## LUT, FF, DSP and block RAM of the core, estimated by Yosys, into bench/results (ten minutes)
	$(BIN)/penstock bench resources

speed: $(STAMP) ## simulated cycles a second of CPU time, with and without assertions (two minutes)
	$(BIN)/penstock bench speed

bench-peers: $(STAMP) ## NNgen on the same work in its own environment, published figures beside (half an hour)
	$(BIN)/penstock bench peers

.PHONY: timing timing-check

timing: $(STAMP) ## fmax and worst paths of every core, estimated from its netlist, into bench/results/timing.json (half an hour; CONFIG=z7020)
	$(BIN)/penstock bench timing $(if $(CONFIG),--config $(CONFIG))

timing-check: $(STAMP) ## do the boards' clocks keep within the stored estimate, and is it of these sources?
	$(BIN)/penstock bench timing --check
