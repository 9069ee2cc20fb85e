# Mutants of the core and what notices them; included by the Makefile.

.PHONY: mutate

mutate: $(STAMP) ## mutants of the SystemVerilog, and what notices each: N=120 SEED=1 ONLY=ps_fifo (a quarter of an hour)
	$(BIN)/python -m tests.mutation --mutants $(or $(N),120) --seed $(or $(SEED),1) --jobs $(JOBS) \
	  $(if $(ONLY),--match "$(ONLY)") $(if $(AGAIN),--again $(AGAIN))
