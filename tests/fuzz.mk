# ---- random networks through every engine, damaged files into the compiler (docs/verification.md)
N       ?= 500
FILES   ?= 2000
SEED    ?= 0
CONFIGS ?= tiny,z7020

.PHONY: fuzz

fuzz: $(STAMP) ## N=500 random networks on every engine, FILES=2000 damaged files (SEED, CONFIGS, JOBS)
	$(BIN)/python -m tests.fuzz --networks $(N) --files $(FILES) --seed $(SEED) \
	  --configs $(CONFIGS) --jobs $(JOBS) -o build/fuzz.json
