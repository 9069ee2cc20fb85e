# Random networks through every engine, damaged files into every reader; included by the Makefile.

.PHONY: fuzz

fuzz: $(STAMP) ## random networks on every engine, damaged files: N=500, 125 each of CONCATS SQUEEZE SKIPS CODES LARGER SEVERAL, TANGLES=500 FILES=2000 ONNX=500 SEED=0 CONFIGS=tiny,z7020
	$(BIN)/python -m tests.fuzz --networks $(or $(N),500) --concats $(or $(CONCATS),125) \
	  --squeeze $(or $(SQUEEZE),125) --skips $(or $(SKIPS),125) --codes $(or $(CODES),125) --larger $(or $(LARGER),125) --several $(or $(SEVERAL),125) \
	  --tangles $(or $(TANGLES),500) --files $(or $(FILES),2000) \
	  --onnx $(or $(ONNX),500) $(if $(ONNX_KINDS),--onnx-kinds $(ONNX_KINDS)) --seed $(or $(SEED),0) --configs $(or $(CONFIGS),tiny$(comma)z7020) --jobs $(JOBS) -o build/fuzz.json

comma := ,
