# make image PROMPT="a red house under a full moon"   build, then draw it to OUT
# make test                                           everything continuous integration runs
#
# Both install what is missing. The other targets: build, bench, parity, format, lint, clean.

# What a caller gives is handed over in the environment, exactly as it was written. It is never
# pasted into a command, so quotes, dollar signs and semicolons mean nothing special in it.
PROMPT = a red house under a full moon
OUT = image.jpg
IMAGE_FLAGS =
override export PROMPT := $(value PROMPT)
override export OUT := $(value OUT)
override export IMAGE_FLAGS := $(value IMAGE_FLAGS)

PARITY_PYTHON := .build-parity/bin/python

.DELETE_ON_ERROR:
.PHONY: all image build test test-training lint format bench parity clean set-up set-up-python

all: build

set-up:
	@.ci/set-up

set-up-python:
	@.ci/set-up python

build: set-up
	swift build -c release

image: set-up
	@swift build -c release --product sparsedit-t2i
	@.build/release/sparsedit-t2i --output "$$OUT" $$IMAGE_FLAGS -- "$$PROMPT"

test: set-up lint
	swift test

# The training kit's own tests; they need torch, hence the environment of `make parity`.
test-training: $(PARITY_PYTHON)
	cd bindings/python && ../../$(PARITY_PYTHON) -m pytest -q tests/training

lint:
	swift format lint --strict --recursive --parallel Package.swift Sources Tests

format:
	swift format --in-place --recursive --parallel Package.swift Sources Tests

bench: set-up
	swift build -c release --product sparsedit-bench
	.build/release/sparsedit-bench

# Compares every stage with diffusers and transformers on fresh random models, for example
# make parity PARITY_FLAGS="--seed 7 --cases 3"
parity: set-up $(PARITY_PYTHON)
	swift build -c release --product sparsedit-bench
	$(PARITY_PYTHON) Tests/Parity/parity.py $(PARITY_FLAGS)

$(PARITY_PYTHON): Tests/Parity/requirements.txt Tests/Parity/install | set-up-python
	Tests/Parity/install .build-parity

clean:
	rm -rf .build .build-parity
