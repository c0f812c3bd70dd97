# The front door of MUTE: `make help` lists what it opens. Every target sets up what it needs, once.

PYTHON ?= python3
CONFIG ?= config/config.yaml
CORES ?= all
ARGS ?=
CELL ?=
NAMES ?= gemma-3-270m smollm2-135m
OWN_CODE ?=
TARGETS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

# Rules that read nothing but tables, and figures drawn from them. Where only these are allowed, tables are given.
DRAWING := figures paper write_metrics draw_figures explore_layers explore_trade_off summarise \
	write_values draw_exhibits compile_paper

# Two tests at a time, those of one file one after the other: they share a study.
BESIDE := -n 2 --dist loadfile

# Python then keeps the bytecode it compiles. Without it every job compiles torch anew: the largest cost of a small one.
export PYTHONDONTWRITEBYTECODE :=

# What a call was given is for that call, not for another make that it may run, as tests and DVC do.
MAKEOVERRIDES :=
unexport ARGS CELL CONFIG CORES NAMES OWN_CODE TARGETS
ifneq ($(OWN_CODE),)
export MUTE_OWN_CODE := $(OWN_CODE)
endif

.DEFAULT_GOAL := help
.PHONY: help study smoke reproduction real weights fetch plan status board explore figures publish paper frozen docs \
	export verify test integration chaos lint lock clean

help: ## list the targets (this text)
	@echo "MUTE: a reproducible study of multilingual unlearning. Targets:"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "Variables:"
	@echo "  CONFIG=FILE   the study to run, several files overlay each other [$(CONFIG)]"
	@echo "  CORES=N       how many cores a study may use [$(CORES)]"
	@echo "  ARGS='...'    more options for snakemake (whatever runs it), pytest (test, integration) or uv (lock)"
	@echo "  CELL=NAME     the cell that export takes, by the name of its keys"
	@echo "  NAMES='...'   the weights to fetch [$(NAMES)]"
	@echo "  OWN_CODE=1    run the methods' files that the study names, which you trust"
	@echo "  TARGETS=paper what figures makes: the paper, from the same tables, instead"
	@echo "  PYTHON=NAME   the Python, 3.11 or newer, that $(VENV) is made with [$(PYTHON)]"
	@echo "The first call fills $(VENV); pip's and uv's own settings (PIP_*, pip.conf, UV_*) hold for it."
	@echo "UV_TORCH_BACKEND=cpu takes the far smaller build of torch for machines without a GPU."

study: $(INSTALLED) ## run the study, then make its report and print its summary
smoke: $(INSTALLED) ## the same on a small scale: minutes, results apart from the study's
smoke: CONFIG := config/smoke.yaml
reproduction: $(INSTALLED) ## the paper reproduced, with its controls: about five hours; then its PDF
reproduction: CONFIG := config/reproduction.yaml
reproduction: override ARGS += -- paper all
real: $(INSTALLED) ## a real multilingual model, Gemma 3 270M, on facts that it knows; after make weights
real: CONFIG := config/gemma.yaml
study smoke reproduction real:
	@$(BIN)/python workflow/study.py run --cores $(CORES) --configfile $(CONFIG) -- $(ARGS)

weights: $(INSTALLED) ## fetch the small pretrained weights NAMES, after their licences were shown
	@for name in $(NAMES); do $(BIN)/python -m mute weights "$$name" || exit $$?; done

fetch: $(INSTALLED) ## get the models and data that the study needs from the hub, and verify what is there
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores $(CORES) --configfile $(CONFIG) --forcerun fetch_inputs \
		$(ARGS) -- fetch

plan: $(INSTALLED) ## what the study of CONFIG will cost: jobs, hours, memory, disk; runs nothing
	@$(BIN)/python -m mute plan $(CONFIG) --cores $(CORES)

status: $(INSTALLED) ## how the study of CONFIG stands: done, diverged, failed, pending; where the logs are, how to go on
	@$(BIN)/python -m mute status $(CONFIG) || [ $$? -le 2 ]

board: $(INSTALLED) ## the board with the finished study of CONFIG in it: table, and a page that opens from the disk
	@$(BIN)/python -m mute board make $(CONFIG) $(ARGS)

explore: $(INSTALLED) ## pages in which the results of CONFIG can be looked through; ARGS='--with DIR': two side by side
	@$(BIN)/python -m mute explore $(CONFIG) $(ARGS)

figures: $(INSTALLED) ## figures and summary from the tables that are there, pulled ones too; trains nothing
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores $(CORES) --configfile $(CONFIG) \
		--allowed-rules $(DRAWING) $(ARGS) -- $(or $(TARGETS),$@)

publish: $(INSTALLED) ## show a study's results in W&B (offline files, by default) or TensorBoard
paper: $(INSTALLED) ## the paper of a finished study, as PDF
frozen: $(INSTALLED) ## all figures and the paper from paper/frozen/, without training anything
publish paper frozen:
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores $(CORES) --configfile $(CONFIG) $(ARGS) -- $@

docs: $(INSTALLED) ## the documentation site, in results/site/: opens from disk, needs no network
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict $(ARGS)
	@echo "open results/site/index.html"

export: $(INSTALLED) ## one unlearned model as an ordinary directory: make export CELL=NAME (without: which there are)
	@PATH="$(CURDIR)/$(BIN):$$PATH"; [ -n "$(CELL)" ] || exec python -m mute exports $(CONFIG); \
		target=$$(python -m mute exports --cell "$(CELL)" $(CONFIG)) \
		&& snakemake --cores $(CORES) --configfile $(CONFIG) $(ARGS) -- $$target

verify: $(INSTALLED) ## read inputs and published results again and hold them against DVC's checksums
	@$(BIN)/python -m mute verify $(ARGS)

test: $(INSTALLED) ## run the tests; the slow ones: make test ARGS='-m slow'
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest $(BESIDE) -m "not slow and not integration and not chaos" $(ARGS)

integration: $(INSTALLED) ## test against a real SLURM, S3, hub and W&B, all of them on this machine
	@bash tests/integration/install.sh
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -m integration $(ARGS)

chaos: $(INSTALLED) ## kill, damage and starve a micro study; CHAOS=part: minutes of it, CHAOS_SEED=N: at other moments
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -m chaos -s $(ARGS) tests/chaos

lint: $(INSTALLED) ## check style, types and the workflow; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/snakemake --lint
	$(BIN)/ty check

lock: ## resolve requirements.lock anew from pyproject.toml; newest of all: make lock ARGS=--upgrade
	@$(PYTHON) workflow/environment.py lock $(ARGS)

clean: ## remove all in results/, and Snakemake's records and logs of it; .venv, data and downloads stay
	@$(PYTHON) workflow/study.py clean

$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) workflow/environment.py install
	@touch $@
