# The two commands a newcomer needs: make demo, make test. Everything is built by CMake and Ninja in build/.
BUILD ?= build
CMAKE_FLAGS ?=

all: $(BUILD)/build.ninja
	@cmake --build $(BUILD)

$(BUILD)/build.ninja:
	@tools/setup build
	@cmake -S . -B $(BUILD) -G Ninja $(CMAKE_FLAGS)

.PHONY: all
