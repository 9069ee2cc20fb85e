# How good the tests of the core are; included by the Makefile.

.PHONY: coverage

coverage: $(STAMP) ## lines, branches and toggles of the core that the regression workload reaches, into docs/verification.md (minutes)
	$(BIN)/python -m tests.quality.measure_coverage -o bench/results/coverage.json
	$(BIN)/penstock bench tables coverage
