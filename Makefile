# gohttp: one command for each thing a person does here.  `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
RUST_SOURCES := $(shell find src -name '*.rs' 2>/dev/null) Cargo.toml Cargo.lock
HOST ?= 127.0.0.1
PORT ?= 8000
TESTS ?= tests
STUBS ?= python
CC ?= cc
CARGO_TARGET_DIR ?= target
CBINDGEN ?= build/tools/bin/cbindgen
C_FLAGS := -std=c11 -O2 -g -Wall -Wextra -Werror -Iinclude -pthread
C_LINK := -Lbuild -lgohttp -Wl,-rpath,'$$ORIGIN/..'
C_LINK_CHECKED := -Lbuild/checked -lgohttp -Wl,-rpath,'$$ORIGIN/../checked'

say = @printf '\033[1m==> %s\033[0m\n' "$(1)"

.PHONY: help
help: ## List the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: serve
serve: $(VENV)/.examples ## Serve examples/myflaskapp.py (HOST=127.0.0.1 PORT=8000)
	$(call say,serving examples/myflaskapp.py; stop with Ctrl-C)
	@cd examples && exec ../$(BIN)/gohttp serve myflaskapp:app --host $(HOST) --port $(PORT)

.PHONY: build
build: $(VENV)/.built ## Build the extension module into .venv

.PHONY: test
test: $(VENV)/.tests ## Build, then run the whole test suite (TESTS=tests/wsgi for a part)
	$(call say,Rust tests of the engine without Python)
	@cargo test --no-default-features --features c --lib --tests
	@cargo test --no-default-features --features c --doc
	$(call say,Python tests over real sockets)
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(TESTS) || $(MAKE) --no-print-directory test-again

# Some tests measure time, and a second test beside them takes it: what failed is run again, alone.
.PHONY: test-again
test-again:
	$(call say,once more and alone: the tests that failed)
	@$(BIN)/python -m pytest --last-failed --last-failed-no-failures none $(TESTS)

.PHONY: check
check: $(VENV)/.check $(VENV)/.built ## Formatting and lints: rustfmt clippy rustdoc ruff mypy
	@mkdir -p build
	cargo fmt --all -- --check
	cargo fmt --manifest-path examples/rust/Cargo.toml -- --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --all-targets --no-default-features -- -D warnings
	cargo clippy --all-targets --no-default-features --features c -- -D warnings
	cargo clippy --features tower -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --quiet --no-deps --no-default-features
	RUSTDOCFLAGS='-D warnings' cargo doc --quiet --no-deps --features tower,c
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@$(BIN)/python tools/settings_table.py build/configuration.md
	@diff -u docs/configuration.md build/configuration.md || { echo "docs/configuration.md is not what the settings say: run 'make docs'." >&2; exit 1; }
	@$(BIN)/python tools/reference.py build/reference.md
	@diff -u docs/reference.md build/reference.md || { echo "docs/reference.md is not what the docstrings say: run 'make docs'." >&2; exit 1; }
	@$(MAKE) --no-print-directory build/gohttp.h
	@diff -u include/gohttp.h build/gohttp.h || { echo "include/gohttp.h is not what src/c says: run 'make header'." >&2; exit 1; }
	@$(MAKE) --no-print-directory stubs STUBS=build/stubs
	@diff -u python/gohttp/_gohttp.pyi build/stubs/gohttp/_gohttp.pyi || { echo "python/gohttp/_gohttp.pyi is not what the Rust says: run 'make stubs'." >&2; exit 1; }

.PHONY: stubs
stubs: $(VENV)/.built ## Write python/gohttp/_gohttp.pyi from the Rust
	@mkdir -p build
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin generate-stubs --profile release --out $(STUBS) >build/stubs.log 2>&1 || { cat build/stubs.log >&2; exit 1; }

.PHONY: libgohttp
libgohttp: build/libgohttp.so ## Build the library for C into build/ (no Python needed)

.PHONY: example-c
example-c: build/c/hello build/c/stream ## Build the examples in C into build/c/

.PHONY: header
header: build/gohttp.h ## Write include/gohttp.h from src/c
	@cp build/gohttp.h include/gohttp.h

.PHONY: valgrind
valgrind: build/c/hello build/c/stream build/c/full build/checked/libgohttp.so $(VENV)/.made ## Run programs in C under valgrind
	@$(BIN)/python tools/valgrind.py

.PHONY: soak
soak: $(VENV)/.built build/c/full ## Ask each face a million requests; memory must stay flat (SOAK="--requests 100000 wsgi")
	@$(BIN)/python tools/soak.py $(SOAK)

.PHONY: fmt
fmt: $(VENV)/.check ## Format all code
	cargo fmt --all
	cargo fmt --manifest-path examples/rust/Cargo.toml
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(VENV)/.built ## Measure gohttp beside its peers; writes benches/results/
	@$(BIN)/python -m pip install --quiet -r benches/requirements.txt
	@$(BIN)/python -m benches $(BENCH)

.PHONY: autobahn
autobahn: $(VENV)/.built ## Run the Autobahn test suite for WebSockets (CASES='1.* 12.*' for some)
	@$(BIN)/python tools/autobahn.py $(CASES)

.PHONY: docs
docs: $(VENV)/.built ## Write docs/configuration.md and docs/reference.md from the code
	@$(BIN)/python tools/settings_table.py docs/configuration.md
	@$(BIN)/python tools/reference.py docs/reference.md

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf $(VENV) build target python/gohttp/*.so

# --- the library for C ------------------------------------------------------------------------

# A profile of its own: the Python module's library has the same file name.
build/libgohttp.so: $(RUST_SOURCES)
	$(call say,building libgohttp (the first time takes one to three minutes))
	@mkdir -p build
	@cargo rustc --quiet --profile clib --lib --no-default-features --features c,allocator --crate-type cdylib,staticlib -- -C link-arg=-Wl,-soname,libgohttp.so
	@cp --remove-destination $(CARGO_TARGET_DIR)/clib/libgohttp.a $(CARGO_TARGET_DIR)/clib/libgohttp.so build/

# The same for valgrind and AddressSanitizer: they see what the system's allocator gives only.
build/checked/libgohttp.so: $(RUST_SOURCES)
	$(call say,building libgohttp with the system's allocator)
	@mkdir -p build/checked
	@cargo rustc --quiet --profile clib --target-dir $(CARGO_TARGET_DIR)/checked --lib --no-default-features --features c --crate-type cdylib -- -C link-arg=-Wl,-soname,libgohttp.so
	@cp --remove-destination $(CARGO_TARGET_DIR)/checked/clib/libgohttp.so build/checked/

build/c/%: examples/c/%.c include/gohttp.h build/libgohttp.so
	@mkdir -p build/c
	@$(CC) $(C_FLAGS) $< $(C_LINK) -o $@

build/c/%: tests/c/apps/%.c include/gohttp.h build/libgohttp.so
	@mkdir -p build/c
	@$(CC) $(C_FLAGS) $< $(C_LINK) -o $@

# The same with AddressSanitizer in the program, and linked statically.
build/c/%-asan: tests/c/apps/%.c include/gohttp.h build/checked/libgohttp.so
	@mkdir -p build/c
	@$(CC) $(C_FLAGS) -fsanitize=address,undefined -fno-sanitize-recover $< $(C_LINK_CHECKED) -o $@

build/c/%-static: examples/c/%.c include/gohttp.h build/libgohttp.so
	@mkdir -p build/c
	@$(CC) $(C_FLAGS) $< build/libgohttp.a -lm -ldl -o $@

# What is a promise in Rust's docs ("# Safety") is a plain sentence in C's. cbindgen does not look
# into cfg_attr: it is given a copy in which the symbols are there without a condition.
build/gohttp.h: $(wildcard src/c/*.rs) cbindgen.toml $(CBINDGEN)
	@mkdir -p build/header
	@rm -f build/header/*.rs && cp src/c/*.rs build/header/
	@sed -i 's/#\[cfg_attr(feature = "c", unsafe(no_mangle))\]/#[unsafe(no_mangle)]/; /^#\[cfg(feature = "c")\]$$/d' build/header/*.rs
	@$(CBINDGEN) --quiet --config cbindgen.toml build/header/mod.rs 2>/dev/null | sed '/^\/\/ # Safety$$/d' >$@.new
	@mv $@.new $@

build/tools/bin/cbindgen:
	$(call say,building cbindgen (once))
	@cargo install --quiet --locked --root build/tools --version 0.29.4 cbindgen

# --- the virtual environment, in steps that are done once -------------------------------------

.PHONY: tools
tools:
	@command -v cargo >/dev/null || { echo "gohttp is built with Rust: install the stable toolchain (rustup), so that 'cargo' is on PATH." >&2; exit 1; }
	@command -v cc >/dev/null || { echo "gohttp needs a C compiler for its allocator: apt-get install gcc." >&2; exit 1; }

$(VENV)/.made: | tools
	$(call say,making the virtual environment $(VENV))
	@python=$$(tools/python) && "$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' 'maturin>=1.16,<2'
	@touch $@

$(VENV)/.built: $(VENV)/.made $(RUST_SOURCES) pyproject.toml
	$(call say,building gohttp (the first time takes one to three minutes))
	@mkdir -p build
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release >build/maturin.log 2>&1 || { cat build/maturin.log >&2; exit 1; }
	@touch $@

$(VENV)/.examples: $(VENV)/.built
	$(call say,installing Flask for the example)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group examples
	@touch $@

$(VENV)/.tests: $(VENV)/.built
	$(call say,installing what the tests need)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group test
	@touch $@

$(VENV)/.check: $(VENV)/.made pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group check
	@touch $@
