# make              build/attestd and build/attest (installs nothing)
# make deps         install the Debian packages that are missing (root or sudo)
# make demo, test   deps, build, then the demo or all fast tests
# make SAN=address,undefined test            the same under sanitizers, in a build folder of its own
# make tidy fuzz fault interop bench         the slower suites; TIME=60, CYCLES=100
# make install PREFIX=/usr/local DESTDIR=
comma    := ,
SAN      ?=
VARIANT  := $(or $(subst $(comma),-,$(SAN)),plain)
BUILD    := build/$(VARIANT)
GEN      := build/gen
PREFIX   ?= /usr/local
TIME     ?= 60
CYCLES   ?= 100

CFLAGS   ?= -O2 -g
CXXFLAGS ?= -O2 -g
WARN     := -Wall -Wextra -Wshadow -Wformat=2 -Wundef -Wvla
CWARN    := $(WARN) -Wconversion -Wstrict-prototypes -Wmissing-prototypes
HARDEN   := -fstack-protector-strong -fPIE $(if $(SAN),-U_FORTIFY_SOURCE,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
override CFLAGS   += -std=gnu17 $(CWARN) $(HARDEN) $(SANFLAGS) -pthread
override CXXFLAGS += -std=c++17 $(WARN) $(HARDEN) $(SANFLAGS) -fno-exceptions -pthread
override CPPFLAGS += -Ipkg -I$(GEN) -D_GNU_SOURCE -MMD -MP
override LDFLAGS  += -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed $(SANFLAGS) -pthread
LDLIBS   := -lssl -lcrypto -lsodium -lnghttp2 -luv -lrocksdb -lyaml -lprotobuf-c -lsimdjson -lstdc++ -lm
CHECKLIB := -lcheck -lsubunit -lrt

# What the build needs, what `make test` needs beside it, what the slower suites need.
DEPS_BUILD := build-essential libssl-dev libsodium-dev libnghttp2-dev libprotobuf-c-dev \
  protobuf-c-compiler protobuf-compiler libprotobuf-dev grpc-proto libuv1-dev librocksdb-dev \
  libyaml-dev libsimdjson-dev
DEPS_TEST  := check libsubunit-dev curl python3 openssl nghttp2-client
DEPS_SLOW  := clang-14 libclang-rt-14-dev clang-tidy-14 clang-format-14 cppcheck valgrind

PROTO_OWN  := $(wildcard proto/attestd/v1/*.proto) $(wildcard proto/google/rpc/*.proto)
PROTO_PB   := any descriptor duration struct timestamp
PROTO_NAMES := $(PROTO_OWN:proto/%.proto=%) $(PROTO_PB:%=google/protobuf/%) \
  grpc/health/v1/health grpc/reflection/v1/reflection grpc/reflection/v1alpha/reflection
PROTO_PATH := -Iproto -I/usr/include -I/usr/share/grpc-proto
GEN_C      := $(PROTO_NAMES:%=$(GEN)/%.pb-c.c)
GEN_H      := $(GEN_C:.c=.h)
# Goals that install packages do so before anything is built, with any -j.
PACKAGES   := $(if $(filter deps test demo tidy valgrind,$(MAKECMDGOALS)),deps)

SRC_C   := $(wildcard pkg/*/*.c)
SRC_CXX := $(wildcard pkg/*/*.cc)
OBJ_GEN := $(GEN_C:$(GEN)/%.c=$(BUILD)/gen/%.o) $(BUILD)/gen/descriptors.o
OBJ     := $(SRC_C:%.c=$(BUILD)/%.o) $(SRC_CXX:%.cc=$(BUILD)/%.o) $(OBJ_GEN)
BINS    := $(foreach b,attestd attest,$(if $(wildcard cmd/$(b)/*.c),$(BUILD)/$(b)))
TESTS   := $(patsubst tests/unit/%.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
TSAN_O  := $(if $(findstring thread,$(SAN)),$(BUILD)/tests/tsan_close.o)
HELPERS := $(patsubst tests/tools/%.c,$(BUILD)/tools/%,$(wildcard tests/tools/*.c))

all: $(BINS) $(if $(SAN),,$(BINS:$(BUILD)/%=build/%))
build/attestd build/attest: build/%: $(BUILD)/% ; @ln -sf $(VARIANT)/$* $@

# --- generated from proto/: C messages, and the descriptor set that the server embeds
$(GEN_C) $(GEN_H) &: $(PROTO_OWN) | $(PACKAGES)
	@mkdir -p $(GEN)
	protoc $(PROTO_PATH) --c_out=$(GEN) $(PROTO_NAMES:%=%.proto)
$(GEN)/descriptors.pb: $(PROTO_OWN) | $(PACKAGES)
	@mkdir -p $(GEN)
	protoc $(PROTO_PATH) --include_imports --descriptor_set_out=$@ $(PROTO_NAMES:%=%.proto)
$(GEN)/descriptors.c: $(GEN)/descriptors.pb
	@{ echo '#include <stddef.h>'; echo '#include <stdint.h>'; \
	   echo 'extern const uint8_t descriptor_set[];'; echo 'extern const size_t descriptor_set_len;'; \
	   echo 'const uint8_t descriptor_set[] = {'; od -An -v -tx1 $< | sed 's/ \(..\)/0x\1,/g'; \
	   echo '};'; echo 'const size_t descriptor_set_len = sizeof descriptor_set;'; } > $@
$(BUILD)/gen/%.o: $(GEN)/%.c ; @mkdir -p $(@D) ; $(CC) $(CPPFLAGS) $(filter-out -W%,$(CFLAGS)) -c $< -o $@

$(BUILD)/lib.a: $(OBJ) ; @rm -f $@.$$$$ ; $(AR) rcs $@.$$$$ $^ && mv $@.$$$$ $@
$(BUILD)/%.o: %.c | $(GEN_H) ; @mkdir -p $(@D) ; $(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@
$(BUILD)/%.o: %.cc | $(PACKAGES) ; @mkdir -p $(@D) ; $(CXX) $(CPPFLAGS) $(CXXFLAGS) -c $< -o $@
cmd_objects = $(patsubst %.c,$(BUILD)/%.o,$(wildcard cmd/$(1)/*.c))
$(BUILD)/attestd: $(call cmd_objects,attestd) $(TSAN_O) $(BUILD)/lib.a
$(BUILD)/attest: $(call cmd_objects,attest) $(TSAN_O) $(BUILD)/lib.a
$(BUILD)/attestd $(BUILD)/attest: ; $(CXX) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(BUILD)/test_%: $(BUILD)/tests/unit/test_%.o $(TSAN_O) $(BUILD)/lib.a
	$(CXX) $(LDFLAGS) $^ $(LDLIBS) $(CHECKLIB) -o $@
$(BUILD)/tools/%: $(BUILD)/tests/tools/%.o $(TSAN_O) $(BUILD)/lib.a
	@mkdir -p $(@D) ; $(CXX) $(LDFLAGS) $^ $(LDLIBS) -o $@

# --- tests
test: deps check
check: all $(TESTS) $(HELPERS) ; BUILD=$(BUILD) SAN=$(SAN) sh tests/run.sh
unit: $(TESTS) ; BUILD=$(BUILD) SAN=$(SAN) sh tests/run.sh unit
test_%: $(BUILD)/test_% ; $(BUILD)/$@
tidy: deps-slow $(GEN_H) ; sh tests/tidy/run.sh
valgrind: deps-slow $(TESTS) ; BUILD=$(BUILD) sh tests/valgrind.sh
fault: all $(HELPERS) ; BUILD=$(BUILD) CYCLES=$(CYCLES) sh tests/fault/run.sh
interop: all $(HELPERS) ; BUILD=$(BUILD) sh tests/interop/run.sh
bench: all $(HELPERS) ; BUILD=$(BUILD) sh tests/bench/run.sh
demo: deps all $(BUILD)/test_base ; BUILD=$(BUILD) sh tests/demo/run.sh
spec: ; sh tests/tidy/spec.sh

# One libFuzzer program a target, built with clang; the corpora replay in `make test` without it.
FUZZFLAGS := -O1 -g -std=gnu17 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
fuzz: deps-slow ; $(MAKE) $(FUZZERS:%=build/fuzz/fuzz_%) CC=clang-14 CXX=clang++-14 SAN=address,undefined,fuzzer-no-link
	TIME=$(TIME) sh tests/fuzz/run.sh
build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(BUILD)/lib.a
	@mkdir -p $(@D)
	$(CC) -Ipkg -I$(GEN) -D_GNU_SOURCE $(FUZZFLAGS) -c $< -o $@.o
	$(CXX) -fsanitize=fuzzer,address,undefined $@.o $(BUILD)/lib.a $(LDLIBS) -o $@
# The same targets with a main that replays files, in every variant.
replay: $(FUZZERS:%=$(BUILD)/replay_%)
$(BUILD)/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(TSAN_O) $(BUILD)/lib.a
	$(CXX) $(LDFLAGS) $^ $(LDLIBS) -o $@
check: replay

# --- packages
define missing
$(shell for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done)
endef
apt = @m="$(strip $(call missing,$(1)))"; [ -z "$$m" ] && exit 0; s=; [ "$$(id -u)" = 0 ] || s=sudo; \
  echo "installing $$m"; $$s apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$s apt-get install -y -qq --no-install-recommends $$m >/dev/null
deps: ; $(call apt,$(DEPS_BUILD) $(DEPS_TEST))
deps-slow: deps ; $(call apt,$(DEPS_SLOW))

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/share/doc/attestd
	install -m 755 $(BUILD)/attestd $(BUILD)/attest $(DESTDIR)$(PREFIX)/bin/
	sed 's|/usr/local/|$(PREFIX)/|' deploy/attestd.service >$(BUILD)/attestd.service
	install -m 644 $(BUILD)/attestd.service $(DESTDIR)$(PREFIX)/lib/systemd/system/
	install -m 644 deploy/attestd.yaml $(DESTDIR)$(PREFIX)/share/doc/attestd/
clean: ; $(RM) -r build
.PHONY: all test check unit tidy valgrind fault interop bench demo spec fuzz replay deps deps-slow install clean
.DELETE_ON_ERROR:
.SECONDARY:
-include $(wildcard $(OBJ:.o=.d) $(BUILD)/tests/*/*.d $(BUILD)/cmd/*/*.d)
