# Formal properties and fault campaigns; included by the Makefile.

.PHONY: formal faults

formal: $(STAMP) ## prove the properties of formal/ with SymbiYosys (minutes; TASK=name for one, QUICK=1: the fast ones, LIMIT=3600: seconds a run)
	@mkdir -p build/formal
	$(BIN)/python -m penstock.formal.run $(TASK) $(if $(QUICK),--fast) $(if $(LIMIT),--limit $(LIMIT)) --json build/formal/results.json

faults: $(STAMP) ## corrupted programs on the simulated core: N=2000 SEED=... (minutes)
	@mkdir -p build/faults
	$(BIN)/python -m tests.sim.faults --count $(or $(N),2000) $(if $(SEED),--seed $(SEED)) --json build/faults/results.json
