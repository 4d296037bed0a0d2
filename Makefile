# The two commands a newcomer needs: make demo, make test. Everything is built by CMake and Ninja in build/.
BUILD ?= build
CMAKE_FLAGS ?=
PREFIX ?= /usr/local
JOBS ?= $(shell nproc 2> /dev/null || echo 2)
FUZZ_SECONDS ?= 600
BENCH ?=
ARCHITECTURES ?=
CARD_NETWORKS ?=
# Test material that is not in the repository; tests that need it are skipped without it.
SUMI_SHARED ?= $(abspath ../shared)
export SUMI_SHARED

configure = cmake -S . -B $(1) -G Ninja $(CMAKE_FLAGS) $(2) > $(1)/configure.log || { cat $(1)/configure.log; exit 1; }

all: ## build the library and the program, build/sumi
	@tools/setup build
	@mkdir -p $(BUILD)
	@test -f $(BUILD)/build.ninja || { $(call configure,$(BUILD),-DCMAKE_INSTALL_PREFIX=$(PREFIX)); }
	@cmake --build $(BUILD) -j $(JOBS)

demo: all ## the whole story on the embedded network: dense, pruned, quantised, compiled; about a minute
	@tools/demo $(BUILD)

test: ## all tests; the last line counts them
	@rm -f $(BUILD)/tests.txt
	@tools/setup test
	@$(MAKE) --no-print-directory all
	@echo "compiling with clang" && mkdir -p $(BUILD)/clang
	@$(call configure,$(BUILD)/clang,-DCMAKE_C_COMPILER=clang)
	@cmake --build $(BUILD)/clang -j $(JOBS) > $(BUILD)/clang/build.log || { tail -40 $(BUILD)/clang/build.log; exit 1; }
	@cmake $(BUILD) > /dev/null && cmake --build $(BUILD) -j $(JOBS)
	@tools/setup oracles $(BUILD)/venv
	@tools/run_tests $(BUILD) -j $(JOBS)

test-asan: ## unit, operator, hostile and program tests under AddressSanitizer and UBSan
	@tools/setup test
	@mkdir -p $(BUILD)/asan
	@$(call configure,$(BUILD)/asan,-DCMAKE_C_COMPILER=clang -DSUMI_SANITIZE=address$(,)undefined -DSUMI_HOSTILE=ON)
	@cmake --build $(BUILD)/asan -j $(JOBS)
	@tools/run_tests $(BUILD)/asan -j $(JOBS) -R '^(unit|ops|hostile|cli)/'

test-tsan: ## unit and operator tests and sessions side by side under ThreadSanitizer
	@tools/setup test
	@mkdir -p $(BUILD)/tsan
	@$(call configure,$(BUILD)/tsan,-DCMAKE_C_COMPILER=clang -DSUMI_SANITIZE=thread)
	@cmake --build $(BUILD)/tsan -j $(JOBS)
	@tools/run_tests $(BUILD)/tsan -j $(JOBS) -R '^(unit/|ops/|lowering$$|examples/)'

test-arm: ## unit, kernel and operator tests, compiled for 64-bit ARM, under user-mode emulation
	@tools/setup arm
	@mkdir -p $(BUILD)/arm
	@$(call configure,$(BUILD)/arm,-DCMAKE_TOOLCHAIN_FILE=cmake/arm64.cmake)
	@cmake --build $(BUILD)/arm -j $(JOBS)
	@tools/run_tests $(BUILD)/arm -j $(JOBS) -R '^(unit/|ops/|kernels$$|lowering$$)' -E '^unit/compress_prune' # which want OpenBLAS

fuzz: ## every libFuzzer target for FUZZ_SECONDS (600), from the corpus in the tree
	@tools/setup test
	@mkdir -p $(BUILD)/fuzz
	@$(call configure,$(BUILD)/fuzz,-DCMAKE_C_COMPILER=clang -DSUMI_SANITIZE=address$(,)undefined -DSUMI_FUZZ=ON)
	@cmake --build $(BUILD)/fuzz -j $(JOBS)
	@tools/fuzz $(BUILD)/fuzz $(FUZZ_SECONDS)

bench: all ## beside other engines; BENCH="--networks resnet50 --isa avx2" narrows it
	@tools/setup test && tools/setup peers $(BUILD)/venv
	@$(BUILD)/venv/bin/python bench/bench.py --sumi $(BUILD)/sumi --folder $(BUILD)/bench --json $(BUILD)/bench.json $(BENCH)

sparse-table: all ## pruned networks in three engines: same outputs, speed-ups; SPARSE="--rows 4x4:0.9" narrows it
	@tools/setup test && tools/setup peers $(BUILD)/venv
	@$(BUILD)/venv/bin/python bench/sparse.py --sumi $(BUILD)/sumi --json $(BUILD)/sparse.json $(SPARSE)

density: all ## whether the faster lists are chosen at every density; DENSITY="--precisions int8" narrows it
	@tools/setup test && tools/setup peers $(BUILD)/venv
	@$(BUILD)/venv/bin/python bench/density.py --sumi $(BUILD)/sumi --folder $(BUILD)/bench $(DENSITY)

architectures: all ## published architectures beside ONNX Runtime; ARCHITECTURES="--only 'timm_*'" narrows it
	@tools/setup test && tools/setup oracles $(BUILD)/venv
	@SUMI_PROGRAM=$(BUILD)/sumi SUMI_TEST_WORK=$(BUILD)/test-work $(BUILD)/venv/bin/python \
	  tests/networks/architectures.py --time --explain --json $(BUILD)/architectures.json $(ARCHITECTURES)

card-networks: all ## networks and architectures compiled for the simulated card; CARD_NETWORKS="--only 'mnist*'" narrows it
	@tools/setup test && tools/setup oracles $(BUILD)/venv
	@SUMI_PROGRAM=$(BUILD)/sumi SUMI_TEST_WORK=$(BUILD)/test-work $(BUILD)/venv/bin/python \
	  tests/networks/card.py --json $(BUILD)/card_networks.json $(CARD_NETWORKS)

install: all ## to PREFIX (/usr/local); DESTDIR is honoured
	@cmake --install $(BUILD) --prefix $(PREFIX)

format: ## clang-format over all C files
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	@rm -rf $(BUILD)

help:
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1: /p' Makefile

, := ,
.PHONY: all demo test test-asan test-tsan test-arm fuzz bench sparse-table density architectures install format clean help
