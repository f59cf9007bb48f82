# Builds, tests and installs nixos-nspawn. On Debian `make test` and `make demo` install what is missing, as root.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo

# Static programs: what setup copies to /etc must not need a loader below /nix (docs/decisions/static.md).
# The target is named even if it is the host's own, so that build scripts and macros are not built that way.
TARGET ?= $(shell rustc -vV | sed -n 's/^host: //p')
TARGET_RUSTFLAGS = CARGO_TARGET_$(shell echo $(TARGET) | tr 'a-z-' 'A-Z_')_RUSTFLAGS
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
OUT = $(TARGET_DIR)/$(TARGET)/release
# Where the generated drop-ins find the unit helper.
HELPER = $(PREFIX)/libexec/nixos-nspawn/unit-helper
# Where ctl finds the Nix files for configuration files.
NIX = $(PREFIX)/share/nixos-nspawn/nix
NIX_FILES = nix/eval-config.nix nix/lib.nix nix/container.nix nix/container-profile.nix nix/data.nix nix/elements.nix nix/from-containers.nix nix/hardening.nix nix/known.json nix/known.nix nix/make-container.nix nix/mounts.nix nix/name.nix nix/nspawn-definitions.nix nix/options.nix nix/options-files.nix nix/options-limits.nix nix/options-network.nix nix/options-rights.nix nix/ports.nix nix/rules.nix nix/syntax.nix nix/types.nix
# Where generated services find systemd's proxy. It is in no directory that is searched for commands.
SOCKET_PROXYD ?= /usr/lib/systemd/systemd-socket-proxyd

.PHONY: build check test demo bench bench-updates torture vm-check fuzz verify-nspawn nixos-check install deps

build:
	$(TARGET_RUSTFLAGS)="-C target-feature=+crt-static" NIXOS_NSPAWN_HELPER=$(HELPER) NIXOS_NSPAWN_NIX=$(NIX) \
		NIXOS_NSPAWN_SOCKET_PROXYD=$(SOCKET_PROXYD) \
		$(CARGO) build --release --locked --target $(TARGET) -p nixos-nspawn-generator -p nixos-nspawn-ctl

# Installs the packages of Debian that tests and the demo need.
deps:
	sh tests/host/install-missing.sh

check: deps
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings

# Host tests mostly wait, for boots and timeouts: two run at once on each core.
test: deps check build fuzz
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(nproc)))} $(CARGO) test --workspace --all-features --locked

demo: deps build
	$(CARGO) run --quiet --locked -p nixos-nspawn-tests --bin demo

bench: deps build
	$(CARGO) run --release --quiet --locked -p nixos-nspawn-tests --bin bench

# Updates on a throwaway host: of unchanged containers, and of changed ones with one job and with two.
bench-updates: deps build
	$(CARGO) run --quiet --locked -p nixos-nspawn-tests --bin bench_updates

# Kills, faults and storms; CONTRIBUTING.md describes the variables.
torture: deps build
	$(CARGO) run --release --quiet --locked -p nixos-nspawn-tests --bin torture

# Power cuts, and what only a kernel of its own shows, in virtual machines; CONTRIBUTING.md describes the variables.
vm-check: deps build
	sh tests/host/install-vm.sh
	$(CARGO) run --quiet --locked -p nixos-nspawn-tests --bin vm_check

# Compares 'verify' with the parsers of systemd 257 and 262 on many generated files; VERIFY_SEED makes others.
VERIFY_FILES ?= 10000
verify-nspawn: deps
	VERIFY_FILES=$(VERIFY_FILES) $(CARGO) test --locked --all-features -p nixos-nspawn-tests --test verify_nspawn -- --nocapture

# Runs each fuzz target for FUZZ_SECONDS, on a stable toolchain.
FUZZ_SECONDS ?= 10
fuzz: deps
	CARGO=$(CARGO) sh fuzz/run.sh $(FUZZ_SECONDS)

# Real NixOS systems in containers (tests/nixos/README.md). NIXPKGS: a directory made by tests/nixos/nixpkgs/assemble;
# PEER: a checkout of python-nixos-nspawn, or nothing; HOSTS: trixie, forky or both. RECORD=1 writes the output to
# tests/nixos/seen, for README.md's table. NUMBERS=1 only measures, for which the machine must be idle.
NIXPKGS ?=
PEER ?=
HOSTS ?= trixie forky
RECORD ?=
NUMBERS ?=
nixos-check: deps build
	PEER="$(PEER)" $(CARGO) run --quiet --locked -p nixos-nspawn-tests --bin nixos_check -- "$(NIXPKGS)" $(HOSTS) $(RECORD:%=--record) $(NUMBERS:%=--numbers) $(STRICT:%=--strict)

MAN8 = man/nixos-nspawn-ctl.8 man/nixos-nspawn-generator.8 man/nixos-nspawn.8
MAN5 = man/nixos-nspawn.json.5 man/nixos-nspawn.conf.5 man/nixos-nspawn-options.5
ROOT = $(DESTDIR)$(PREFIX)

install: build
	install -d $(ROOT)/bin $(ROOT)/lib/systemd/system-generators \
		$(ROOT)/lib/systemd/networkd.conf.d $(ROOT)/lib/systemd/system $(ROOT)/libexec/nixos-nspawn \
		$(ROOT)/share/man/man5 $(ROOT)/share/man/man8 $(ROOT)/share/nixos-nspawn/examples $(ROOT)/share/nixos-nspawn/json $(DESTDIR)$(NIX) \
		$(ROOT)/share/bash-completion/completions $(ROOT)/share/zsh/site-functions \
		$(ROOT)/share/fish/vendor_completions.d
	install -m 0755 $(OUT)/nixos-nspawn-ctl $(ROOT)/bin/nixos-nspawn-ctl
	ln -sf nixos-nspawn-ctl $(ROOT)/bin/nixos-nspawn
	install -m 0755 $(OUT)/nixos-nspawn-generator $(ROOT)/lib/systemd/system-generators/nixos-nspawn-generator
	install -m 0755 $(OUT)/nixos-nspawn-generator $(ROOT)/libexec/nixos-nspawn/unit-helper
	install -m 0644 systemd/10-nixos-nspawn.conf $(ROOT)/lib/systemd/networkd.conf.d
	for unit in service timer; do sed 's|^ExecStart=nixos-nspawn |ExecStart=$(PREFIX)/bin/nixos-nspawn |' \
		systemd/nixos-nspawn-update.$$unit > $(ROOT)/lib/systemd/system/nixos-nspawn-update.$$unit; done
	install -m 0644 $(MAN8) $(ROOT)/share/man/man8
	install -m 0644 $(MAN5) $(ROOT)/share/man/man5
	install -m 0644 docs/nixos-nspawn.schema.json $(ROOT)/share/nixos-nspawn/nixos-nspawn.schema.json
	install -m 0644 docs/json/*.schema.json $(ROOT)/share/nixos-nspawn/json
	install -m 0644 $(NIX_FILES) $(DESTDIR)$(NIX)
	cp -R examples/. $(ROOT)/share/nixos-nspawn/examples
	$(OUT)/nixos-nspawn-ctl completions bash > $(ROOT)/share/bash-completion/completions/nixos-nspawn
	$(OUT)/nixos-nspawn-ctl completions zsh > $(ROOT)/share/zsh/site-functions/_nixos-nspawn
	$(OUT)/nixos-nspawn-ctl completions fish > $(ROOT)/share/fish/vendor_completions.d/nixos-nspawn.fish
	ln -sf nixos-nspawn $(ROOT)/share/bash-completion/completions/nixos-nspawn-ctl
	ln -sf nixos-nspawn.fish $(ROOT)/share/fish/vendor_completions.d/nixos-nspawn-ctl.fish
