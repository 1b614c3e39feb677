# make demo    set up, train on the built-in sample of real ratings, open the web page
# make test    set up, run the tests
#
# PYTHON       the Python to make .venv with (3.11 or newer)
# TORCH_INDEX  an index of torch builds; PyPI's own Linux build brings gigabytes of CUDA, a CPU index does not:
#              make demo TORCH_INDEX=URL
# MINUTES      how long the demo's model is trained (1)
# PORT         where its page opens (the first free one from 7860 on); a model of your own opens by
#              reel demo --model DIR
PYTHON ?= python3
TORCH_INDEX ?=
MINUTES ?= 1
PORT ?=
DATA := data/sample
MODEL := models/sample
# A smaller, more careful model than the default: the sample has 537 training users.
SAMPLE_MODEL := --hidden-size 64 --num-hidden-layers 2 --factor-size 8 --dropout 0.2 --embedding-shrinkage 200 \
	--learning-rate 1e-3 --squared-error 0.2

BIN := .venv/bin
TORCH := $(shell grep '^torch==' constraints.txt)
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check setup clean
.DELETE_ON_ERROR:

demo: .venv/demo-installed $(MODEL)/model.safetensors
	$(BIN)/reel demo --model $(MODEL) $(if $(PORT),--port $(PORT))

test: .venv/dev-installed
	$(BIN)/python -m pytest

check: .venv/dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: .venv/dev-installed

$(DATA)/README.md: | .venv/demo-installed
	$(BIN)/reel data sample --out $(DATA)

$(MODEL)/model.safetensors: $(DATA)/README.md | .venv/demo-installed
	$(BIN)/reel train film-token-gpt2 --data $(DATA) --output-dir $(MODEL) \
		--max-minutes $(MINUTES) $(SAMPLE_MODEL) --overwrite

# Torch goes first and alone: once a build is there, the packages that need torch take it as it is.
.venv/torch-installed: constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	touch $@

.venv/demo-installed: .venv/torch-installed pyproject.toml
	$(PIP_INSTALL) --constraint constraints.txt --editable '.[demo]'
	touch $@

.venv/dev-installed: .venv/torch-installed pyproject.toml
	$(PIP_INSTALL) --constraint constraints.txt --editable '.[dev]'
	touch $@ .venv/demo-installed

clean:
	rm -rf .venv $(DATA) $(MODEL)
