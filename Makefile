# Builds, tests and installs nixos-nspawn. On Debian `make test` and `make demo` install what is missing, as root.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo

# Static programs: what setup copies to /etc must not need a loader below /nix (docs/decisions/static.md).
# The target is named even if it is the host's own, so that build scripts and macros are not built that way.
TARGET ?= $(shell rustc -vV | sed -n 's/^host: //p')
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
# What was built last. 'make install' runs as root, which may have no Rust to ask for the target.
BUILT ?= $(TARGET_DIR)/built
# Where the generated drop-ins find the unit helper.
HELPER = $(PREFIX)/libexec/nixos-nspawn/unit-helper
# Where ctl finds the Nix files for configuration files.
NIX = $(PREFIX)/share/nixos-nspawn/nix
NIX_FILES = nix/eval-config.nix nix/lib.nix nix/container.nix nix/container-profile.nix nix/data.nix nix/elements.nix nix/from-containers.nix nix/hardening.nix nix/known.json nix/known.nix nix/make-container.nix nix/mounts.nix nix/name.nix nix/nspawn-definitions.nix nix/options.nix nix/options-files.nix nix/options-limits.nix nix/options-network.nix nix/options-rights.nix nix/ports.nix nix/rules.nix nix/syntax.nix nix/types.nix
# Where generated services find systemd's proxy. It is in no directory that is searched for commands.
SOCKET_PROXYD ?= /usr/lib/systemd/systemd-socket-proxyd

.PHONY: build check test demo demo-intro bench bench-updates torture vm-check fuzz verify-nspawn nixos-check install uninstall deb deb-check rpm rpm-check arch arch-check book book-check deps

# No directory of this machine gets into the programs; rustc's arguments are separated by the byte 0x1f.
build:
	$(CARGO) fetch --quiet --locked
	us=$$(printf '\037'); flags="-Ctarget-feature=+crt-static$$us--remap-path-prefix=$(CURDIR)=."; \
	for crates in "$${CARGO_HOME:-$$HOME/.cargo}"/registry/src/*; do \
		flags="$$flags$$us--remap-path-prefix=$$crates=crates"; done; \
	CARGO_ENCODED_RUSTFLAGS=$$flags NIXOS_NSPAWN_HELPER=$(HELPER) NIXOS_NSPAWN_NIX=$(NIX) \
		NIXOS_NSPAWN_SOCKET_PROXYD=$(SOCKET_PROXYD) \
		$(CARGO) build --release --locked --target $(TARGET) -p nixos-nspawn-generator -p nixos-nspawn-ctl
	ln -sfn $(TARGET)/release $(TARGET_DIR)/built

# Installs the packages of Debian that tests and the demo need.
deps:
	sh tests/host/install-missing.sh

check: deps
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings
	$(CARGO) clippy --locked $(DEMO) -- -D warnings

# Host tests mostly wait, for boots and timeouts: three run at once on each core.
test: deps check build fuzz
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((3 * $$(nproc)))} $(CARGO) test --workspace --all-features --locked

# The demonstration needs no second build of the programs: it is compiled without them (tests/Cargo.toml).
DEMO = -p nixos-nspawn-tests --no-default-features --bin demo

# The host's tree is made while the programs are built.
demo: demo-intro deps
	$(CARGO) build --quiet --locked $(DEMO)
	@$(CARGO) run --quiet --locked $(DEMO) -- --prepare & prepared=$$!; status=0; \
		$(MAKE) --no-print-directory build || status=$$?; wait $$prepared || status=$$?; exit $$status
	$(CARGO) run --quiet --locked $(DEMO)

demo-intro:
	@echo "The programs are built, and a throwaway Debian 13 is installed meanwhile, which takes some minutes the first time. Then it"
	@echo "is booted in namespaces, and there a container is built by Nix, runs, survives a reboot of that host, is updated, rolled"
	@echo "back and removed. This machine is not changed, except for packages that are missing."

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
# tests/nixos/seen, for the table of docs/seen.md. NUMBERS=1 only measures, for which the machine must be idle.
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
DOC = $(PREFIX)/share/doc/nixos-nspawn
# Debian's zsh searches other directories below /usr than below /usr/local.
ZSH = $(PREFIX)/share/zsh/$(if $(and $(filter /usr,$(PREFIX)),$(wildcard /etc/debian_version)),vendor-completions,site-functions)
# Without DESTDIR, the generator runs at once.
RELOAD = $(if $(DESTDIR),,if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi)

# Copies what 'make build' has built, so it needs no Rust.
install:
	@[ -x $(BUILT)/nixos-nspawn-ctl ] && [ -x $(BUILT)/nixos-nspawn-generator ] || { \
		echo "$(BUILT): the programs are not built; run 'make build PREFIX=$(PREFIX)' first, not as root" >&2; exit 1; }
	@$(BUILT)/nixos-nspawn-generator --version | grep -qxF 'unit-helper $(HELPER)' || { \
		echo "$(BUILT): the programs are built for another PREFIX; run 'make build PREFIX=$(PREFIX)' first, not as root" >&2; exit 1; }
	install -d $(ROOT)/bin $(ROOT)/lib/systemd/system-generators \
		$(ROOT)/lib/systemd/networkd.conf.d $(ROOT)/lib/systemd/system $(DESTDIR)$(dir $(HELPER)) \
		$(ROOT)/share/man/man5 $(ROOT)/share/man/man8 $(ROOT)/share/nixos-nspawn/examples $(ROOT)/share/nixos-nspawn/json $(DESTDIR)$(NIX) \
		$(ROOT)/share/bash-completion/completions $(DESTDIR)$(ZSH) $(ROOT)/share/fish/vendor_completions.d $(DESTDIR)$(DOC)
	install -m 0755 $(BUILT)/nixos-nspawn-ctl $(ROOT)/bin/nixos-nspawn-ctl
	ln -sf nixos-nspawn-ctl $(ROOT)/bin/nixos-nspawn
	install -m 0755 $(BUILT)/nixos-nspawn-generator $(DESTDIR)$(HELPER)
	install -m 0755 $(BUILT)/nixos-nspawn-generator $(ROOT)/lib/systemd/system-generators/nixos-nspawn-generator
	install -m 0644 systemd/10-nixos-nspawn.conf $(ROOT)/lib/systemd/networkd.conf.d
	for unit in service timer; do sed 's|^ExecStart=nixos-nspawn |ExecStart=$(PREFIX)/bin/nixos-nspawn |' \
		systemd/nixos-nspawn-update.$$unit > $(ROOT)/lib/systemd/system/nixos-nspawn-update.$$unit; done
	install -m 0644 $(MAN8) $(ROOT)/share/man/man8
	install -m 0644 $(MAN5) $(ROOT)/share/man/man5
	install -m 0644 docs/nixos-nspawn.schema.json $(ROOT)/share/nixos-nspawn/nixos-nspawn.schema.json
	install -m 0644 docs/json/*.schema.json $(ROOT)/share/nixos-nspawn/json
	install -m 0644 $(NIX_FILES) $(DESTDIR)$(NIX)
	cp -R examples/. $(ROOT)/share/nixos-nspawn/examples
	install -m 0644 README.md CHANGELOG.md CONTRIBUTING.md LICENSE $(DESTDIR)$(DOC)
	cd docs && find . \( -name '*.md' -o -name '*.svg' \) -exec install -D -m 0644 '{}' '$(abspath $(DESTDIR)$(DOC))/docs/{}' ';'
	$(BUILT)/nixos-nspawn-ctl completions bash > $(ROOT)/share/bash-completion/completions/nixos-nspawn
	$(BUILT)/nixos-nspawn-ctl completions zsh > $(DESTDIR)$(ZSH)/_nixos-nspawn
	$(BUILT)/nixos-nspawn-ctl completions fish > $(ROOT)/share/fish/vendor_completions.d/nixos-nspawn.fish
	ln -sf nixos-nspawn $(ROOT)/share/bash-completion/completions/nixos-nspawn-ctl
	ln -sf nixos-nspawn.fish $(ROOT)/share/fish/vendor_completions.d/nixos-nspawn-ctl.fish
	@$(RELOAD)

# Containers keep running, and their records and state stay; 'nixos-nspawn remove' removes a container.
uninstall:
	rm -f $(ROOT)/bin/nixos-nspawn $(ROOT)/bin/nixos-nspawn-ctl $(DESTDIR)$(HELPER) \
		$(ROOT)/lib/systemd/system-generators/nixos-nspawn-generator \
		$(ROOT)/lib/systemd/networkd.conf.d/10-nixos-nspawn.conf \
		$(ROOT)/lib/systemd/system/nixos-nspawn-update.service $(ROOT)/lib/systemd/system/nixos-nspawn-update.timer \
		$(MAN8:man/%=$(ROOT)/share/man/man8/%) $(MAN5:man/%=$(ROOT)/share/man/man5/%) \
		$(ROOT)/share/bash-completion/completions/nixos-nspawn $(ROOT)/share/bash-completion/completions/nixos-nspawn-ctl \
		$(DESTDIR)$(ZSH)/_nixos-nspawn \
		$(ROOT)/share/fish/vendor_completions.d/nixos-nspawn.fish $(ROOT)/share/fish/vendor_completions.d/nixos-nspawn-ctl.fish
	rm -rf $(DESTDIR)$(NIX) $(ROOT)/share/nixos-nspawn $(DESTDIR)$(DOC)
	-rmdir $(DESTDIR)$(dir $(HELPER)) 2> /dev/null
	@$(RELOAD)
	@$(if $(DESTDIR),,echo "running containers keep running and are not started again; records in /etc/nixos-nspawn and state in /var/lib/machines stay")

# The Debian package, and one with its debug information, in target/deb. It is built in a copy of the tree, and Rust may be
# rustup's: only debhelper and dpkg-dev must be installed.
DEB = $(abspath $(TARGET_DIR))/deb
deb:
	@command -v dh > /dev/null || { echo "dh: not found; install the Debian packages debhelper and dpkg-dev" >&2; exit 1; }
	sh tests/deb/build.sh '$(DEB)'

# Two builds of the package are identical, lintian is content, and the package works on throwaway hosts.
deb-check: deps deb
	sh tests/deb/build.sh '$(DEB)-again'
	sh tests/deb/check.sh '$(DEB)' '$(DEB)-again'
	NIXOS_NSPAWN_DEB='$(DEB)' $(CARGO) test --locked --all-features -p nixos-nspawn-tests --test hosts deb::

# The RPM package, in target/rpm, built in a copy of the tree. Rust may be rustup's: only rpmbuild must be installed.
RPM = $(abspath $(TARGET_DIR))/rpm
rpm:
	@command -v rpmbuild > /dev/null || { echo "rpmbuild: not found; install rpm-build, or Debian's package rpm" >&2; exit 1; }
	sh tests/rpm/build.sh '$(RPM)'

# Two builds of the package are identical, rpm and rpmlint find no fault, and it is installed, upgraded and erased below a root.
rpm-check: deps
	command -v rpmbuild > /dev/null || apt-get install -qq -y --no-install-recommends rpm > /dev/null
	$(MAKE) rpm
	sh tests/rpm/build.sh '$(RPM)-again'
	sh tests/rpm/check.sh '$(RPM)' '$(RPM)-again'

# The package of Arch, in target/arch, built in a copy of the tree.
ARCH = $(abspath $(TARGET_DIR))/arch
arch:
	@command -v makepkg > /dev/null || { echo "makepkg: not found; install base-devel, or Debian's packages makepkg and libarchive-tools" >&2; exit 1; }
	sh tests/arch/build.sh '$(ARCH)'

# makepkg reads PKGBUILD and builds the package, which pacman installs and removes below a root.
arch-check: deps
	command -v makepkg > /dev/null && command -v bsdtar > /dev/null && command -v pacman > /dev/null || \
		apt-get install -qq -y --no-install-recommends makepkg pacman-package-manager libarchive-tools > /dev/null
	$(MAKE) arch
	sh tests/arch/check.sh '$(ARCH)'

# The book, in target/book/html. mdBook is compiled once, to target/tools.
MDBOOK_VERSION = 0.4.52
MDBOOK = $(TARGET_DIR)/tools/bin/mdbook
book:
	[ "$$($(MDBOOK) --version 2> /dev/null)" = "mdbook v$(MDBOOK_VERSION)" ] || $(CARGO) install mdbook --locked \
		--version $(MDBOOK_VERSION) --no-default-features --features search --root $(TARGET_DIR)/tools
	$(CARGO) run --quiet --locked -p nixos-nspawn-tests --bin book -- $(TARGET_DIR)/book
	$(MDBOOK) build $(TARGET_DIR)/book

# Opens the book in headless Chromium; screenshots are in target/book/seen.
book-check: book
	command -v chromedriver > /dev/null || apt-get install -qq -y --no-install-recommends chromium chromium-driver > /dev/null
	python3 tests/book/check.py $(TARGET_DIR)/book/html $(TARGET_DIR)/book/seen
