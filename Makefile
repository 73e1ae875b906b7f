# make image PROMPT="a red house under a full moon"   build, then draw it to OUT
# make test                                           everything continuous integration runs
#
# make && sudo make install PREFIX=/usr/local           command, library, header, pkg-config file
# make wheel                                          the Python package, with the library in it
#
# All install what is missing. The other targets: build, lib, uninstall, test-interface, test-install,
# test-documents, test-training, stress, abi-check, abi-record, manual, bench, parity, format, lint, clean.

# The caller's values go into the environment of the commands, exactly as they were written. They are never
# part of a command's text, so that quotes, dollar signs and semicolons mean nothing special in them.
PROMPT = a red house under a full moon
OUT = image.jpg
IMAGE_FLAGS =
override export PROMPT := $(value PROMPT)
override export OUT := $(value OUT)
override export IMAGE_FLAGS := $(value IMAGE_FLAGS)

PREFIX = /usr/local
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
DATADIR = $(PREFIX)/share
DESTDIR =
VERSION := 0.1.0

PARITY_PYTHON := .build-parity/bin/python
BINDING_PYTHON := .build-python/bin/python
# Say when these environments were made. The interpreters in them are links to one that other programs
# use, whose time says nothing.
PARITY_ENVIRONMENT := .build-parity/complete
BINDING_ENVIRONMENT := .build-python/complete

# One set of compiler flags for everything that is delivered, so that nothing is compiled twice.
# With the Swift runtime inside, neither command nor library needs a toolchain where they run; -s
# leaves out symbols and debug information, with the paths of the machine that built.
SWIFT_BUILD := swift build -c release -Xswiftc -static-stdlib -Xlinker -s
BIN := .build/release

# The library for other programs: its name has the version of its interface, it exports only that
# interface, and it is never unloaded, since a Swift runtime cannot be. These flags are not in the manifest,
# because other packages could not depend on the engine then.
LIBRARY := build/libsparsedit.so.1
LIBRARY_FLAGS := -Xlinker -soname -Xlinker $(notdir $(LIBRARY)) -Xlinker -z -Xlinker nodelete \
  -Xlinker --version-script=$(CURDIR)/Sources/SparseDiTC/sparsedit.map

# What the tests of the interface draw with: the default model, or a small random one where it is missing.
INTERFACE_MODEL := $(if $(wildcard Sources/CDefaultModel/model/model_index.json),,Tests/Golden/pixart-alpha)

.DELETE_ON_ERROR:
.PHONY: all image build lib test test-training test-interface test-install test-documents stress \
  abi-check abi-record manual install uninstall wheel lint format bench parity clean set-up set-up-python \
  set-up-tests

all: build

set-up:
	@.ci/set-up

set-up-python:
	@.ci/set-up python

set-up-tests:
	@.ci/set-up tests

build: lib
	$(SWIFT_BUILD) --product sparsedit-t2i

# Removed first: a change of linker flags alone does not make SwiftPM link again.
lib: set-up
	@rm -f $(BIN)/libsparsedit.so
	$(SWIFT_BUILD) --product sparsedit $(LIBRARY_FLAGS)
	@mkdir -p $(dir $(LIBRARY))
	@cmp -s $(BIN)/libsparsedit.so $(LIBRARY) || cp $(BIN)/libsparsedit.so $(LIBRARY)
	@ln -sf $(notdir $(LIBRARY)) $(dir $(LIBRARY))libsparsedit.so

image: set-up
	@$(SWIFT_BUILD) --product sparsedit-t2i
	@$(BIN)/sparsedit-t2i --output "$$OUT" $$IMAGE_FLAGS -- "$$PROMPT"

test: set-up lint abi-check test-interface test-install test-documents
	swift test
	Tests/levels .build/debug/sparsedit-bench

# The library from outside: what it exports, the C interface, the Python package, the examples.
test-interface: build set-up-tests $(BINDING_ENVIRONMENT)
	Tests/CInterface/exports $(LIBRARY)
	SPARSEDIT_T2I=$(BIN)/sparsedit-t2i PYTHON=$(BINDING_PYTHON) \
	  Tests/CInterface/run $(LIBRARY) $(INTERFACE_MODEL)
	SPARSEDIT_LIBRARY=$(CURDIR)/$(LIBRARY) PYTHONPATH=bindings/python $(BINDING_PYTHON) -m pytest -q \
	  --ignore bindings/python/tests/training bindings/python/tests
	PYTHON=$(BINDING_PYTHON) Tests/CInterface/run-python-examples $(INTERFACE_MODEL)

# What `make test` does for seconds, for minutes. For example make stress SEED=77
SEED = $(shell date +%s)
stress: build $(BINDING_ENVIRONMENT)
	ONLY="stress limits" SECONDS_OF_STRESS=60 LIMITED=500 SEED=$(SEED) SWEEP=1 \
	  SPARSEDIT_T2I=$(BIN)/sparsedit-t2i PYTHON=$(BINDING_PYTHON) \
	  Tests/CInterface/run $(LIBRARY) $(INTERFACE_MODEL)

# What a packager sees, and a user of what is installed: files, the manual page, the wheel.
test-install: build wheel
	.ci/manual $(BIN)/sparsedit-t2i | diff -u man/sparsedit-t2i.1 - || \
	  { echo "man/sparsedit-t2i.1 is behind --help: make manual" >&2; exit 1; }
	Tests/Packaging/install
	PYTHON=$(BINDING_PYTHON) Tests/Packaging/wheel dist/sparsedit-*.whl

# The code blocks of README, docs and all other Markdown files.
test-documents: build wheel
	$(BINDING_PYTHON) -m pytest -q Tests/Documents
	$(BINDING_PYTHON) Tests/Documents/run

manual: build
	.ci/manual $(BIN)/sparsedit-t2i >man/sparsedit-t2i.1

$(BINDING_ENVIRONMENT): .ci/requirements.txt | set-up-python
	python3 -m venv .build-python
	$(BINDING_PYTHON) -m pip install --quiet --requirement .ci/requirements.txt
	@touch $@

# A change of the binary interface has to be made in the record as well: deliberately.
abi-check: set-up-python
	@python3 Tests/CInterface/abi.py | diff -u include/sparsedit.abi - || \
	  { echo "sparsedit.h no longer matches its record: see CONTRIBUTING.md" >&2; exit 1; }

abi-record:
	python3 Tests/CInterface/abi.py >include/sparsedit.abi

# The tests of the training kit and the code blocks about it. They need torch, hence the environment of
# `make parity`.
test-training: build $(PARITY_ENVIRONMENT)
	cd bindings/python && ../../$(PARITY_PYTHON) -m pytest -q tests/training
	$(PARITY_PYTHON) Tests/Documents/run --training

# Formatting of Swift, C and C++; Python by ruff and, for the package that programs import, its types.
# Sources/CKernels and Sources/COneDNN are not among the folders: they are laid out by hand so far.
C_FOLDERS := include Sources/CDefaultModel Sources/CJPEG Sources/CSentencePiece Tests/CInterface examples/c
C_FILES = $(shell find $(C_FOLDERS) -name '*.[ch]' -o -name '*.[ch]pp')
CLANG_FORMAT := $(dir $(BINDING_PYTHON))clang-format

lint: $(BINDING_ENVIRONMENT)
	swift format lint --strict --recursive --parallel Package.swift Sources Tests
	$(CLANG_FORMAT) --dry-run -Werror $(C_FILES)
	$(BINDING_PYTHON) -m ruff check --quiet
	$(BINDING_PYTHON) -m mypy --strict --no-error-summary bindings/python/sparsedit
	$(BINDING_PYTHON) Tests/Packaging/versions

format: $(BINDING_ENVIRONMENT)
	swift format --in-place --recursive --parallel Package.swift Sources Tests
	$(CLANG_FORMAT) -i $(C_FILES)
	$(BINDING_PYTHON) -m ruff check --quiet --fix

bench: set-up
	$(SWIFT_BUILD) --product sparsedit-bench
	$(BIN)/sparsedit-bench

# Compares every stage with diffusers and transformers on new random models, and draws in a process that
# also imports torch, before and after. For example
# make parity PARITY_FLAGS="--seed 7 --cases 3"
parity: lib $(PARITY_ENVIRONMENT)
	SPARSEDIT_LIBRARY=$(CURDIR)/$(LIBRARY) $(PARITY_PYTHON) Tests/Parity/parity.py $(PARITY_FLAGS)
	SPARSEDIT_LIBRARY=$(CURDIR)/$(LIBRARY) PYTHONPATH=bindings/python $(PARITY_PYTHON) -m pytest -q \
	  -k torch bindings/python/tests/test_process.py

$(PARITY_ENVIRONMENT): Tests/Parity/requirements.txt Tests/Parity/install | set-up-python
	Tests/Parity/install .build-parity
	@touch $@

# Installs what `make` built, and builds only what is missing, so that `sudo make install` needs no Swift in
# root's PATH.
BUILT := $(BIN)/sparsedit-t2i $(LIBRARY)
COMMAND := $(BIN)/sparsedit-t2i
DOCUMENTS := $(DATADIR)/doc/sparsedit
BASH_COMPLETION := $(DATADIR)/bash-completion/completions/sparsedit-t2i
ZSH_COMPLETION := $(DATADIR)/zsh/site-functions/_sparsedit-t2i
FISH_COMPLETION := $(DATADIR)/fish/vendor_completions.d/sparsedit-t2i.fish

install: $(if $(filter-out $(wildcard $(BUILT)),$(BUILT)),build)
	install -d $(addprefix $(DESTDIR),$(PREFIX)/bin $(LIBDIR)/pkgconfig $(INCLUDEDIR) $(DOCUMENTS)/docs \
	  $(DATADIR)/man/man1 $(dir $(BASH_COMPLETION) $(ZSH_COMPLETION) $(FISH_COMPLETION)))
	install -m 755 $(COMMAND) $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(LIBRARY) $(DESTDIR)$(LIBDIR)/
	ln -sf $(notdir $(LIBRARY)) $(DESTDIR)$(LIBDIR)/libsparsedit.so
	install -m 644 include/sparsedit.h $(DESTDIR)$(INCLUDEDIR)/
	rpath=$$(.ci/needs-rpath '$(LIBDIR)' && echo ' -Wl,-rpath,$${libdir}' || true); \
	sed "s|@prefix@|$(PREFIX)|; s|@libdir@|$(LIBDIR)|; s|@includedir@|$(INCLUDEDIR)|; \
	  s|@version@|$(VERSION)|; s|@rpath@|$$rpath|" sparsedit.pc.in \
	  >$(DESTDIR)$(LIBDIR)/pkgconfig/sparsedit.pc
	install -m 644 LICENSE README.md CHANGELOG.md $(DESTDIR)$(DOCUMENTS)/
	install -m 644 docs/*.md $(DESTDIR)$(DOCUMENTS)/docs/
	install -m 644 licenses/README.md $(DESTDIR)$(DOCUMENTS)/LICENSES.md
	install -m 644 licenses/Swift.txt $(DESTDIR)$(DOCUMENTS)/LICENSE-Swift.txt
	install -m 644 man/sparsedit-t2i.1 $(DESTDIR)$(DATADIR)/man/man1/
	$(COMMAND) --generate-completion-script bash >$(DESTDIR)$(BASH_COMPLETION)
	$(COMMAND) --generate-completion-script zsh >$(DESTDIR)$(ZSH_COMPLETION)
	$(COMMAND) --generate-completion-script fish >$(DESTDIR)$(FISH_COMPLETION)
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || PATH=$$PATH:/sbin:/usr/sbin ldconfig

uninstall:
	rm -f $(addprefix $(DESTDIR),$(PREFIX)/bin/sparsedit-t2i $(INCLUDEDIR)/sparsedit.h \
	  $(addprefix $(LIBDIR)/,$(notdir $(LIBRARY)) libsparsedit.so pkgconfig/sparsedit.pc) \
	  $(DATADIR)/man/man1/sparsedit-t2i.1 $(BASH_COMPLETION) $(ZSH_COMPLETION) $(FISH_COMPLETION))
	rm -rf $(DESTDIR)$(DOCUMENTS)

# Without the build folder of an earlier wheel, which may have modules that were removed since.
wheel: lib $(BINDING_ENVIRONMENT)
	rm -rf bindings/python/build dist/sparsedit-*.whl
	$(BINDING_PYTHON) -m pip wheel --quiet --no-deps --wheel-dir dist ./bindings/python

clean:
	rm -rf .build .build-documents .build-parity .build-python build dist
