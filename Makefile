# `make demo` and `make test` are all a newcomer needs; both set everything up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt
export PYTHONDONTWRITEBYTECODE := # containers set it; pip leaves compiling to Python

.PHONY: demo test bench clean

demo: $(READY)
	$(BIN)/reliefseg demo demo

# mypy keeps one core busy: it runs beside the first tests.
test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy & types=$$!; \
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal && wait $$types

# Needs no data; prediction takes 7 minutes on 2 cores, training some ten; run nothing else meanwhile. Writes benchmarks/RESULTS.md.
bench: $(READY)
	$(INSTALL) --editable '.[openvino,onnxruntime]'
	$(BIN)/python benchmarks/prediction.py
	$(BIN)/python benchmarks/training.py

# Everything is pinned by constraints.txt; the marker makes a second call instant. Python compiles what it imports: pip would
# compile all of torch. The pip of Python 3.11 takes twice as long as today's.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "reliefseg needs Python 3.11 or newer: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) pip
	$(INSTALL) --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo build
