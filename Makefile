# Builds, tests and installs nixos-nspawn. `make test` installs what is missing on Debian and runs everything.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo
# Static programs: what is copied to /etc must not need a loader below /nix (docs/decisions/static.md).
TARGET ?= $(shell rustc -vV | sed -n 's/^host: //p')
TARGET_VARIABLE = CARGO_TARGET_$(shell echo $(TARGET) | tr 'a-z-' 'A-Z_')_RUSTFLAGS
OUT = target/$(TARGET)/release
HELPER = $(PREFIX)/libexec/nixos-nspawn/unit-helper

.PHONY: build
build:
	$(TARGET_VARIABLE)="-C target-feature=+crt-static" NIXOS_NSPAWN_HELPER=$(HELPER) \
		$(CARGO) build --release --locked --target $(TARGET) -p nixos-nspawn-generator -p nixos-nspawn-ctl
