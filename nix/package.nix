# The programs, manual pages, completions, schema, examples and the files that Nix evaluates for --config.
#
# `static` makes programs that run without /nix, for `nixos-nspawn setup` to copy: they are linked statically, and the paths
# in them are below `prefix`, not in the store. As with `make build` (docs/decisions/static.md) they use glibc, so that
# the compiler comes from the binary cache.
{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  glibc,
  systemd,
  testers,
  versionCheckHook,
  static ? false,
  prefix ? if static then "/usr/local" else placeholder "out",
}:
let
  root = ../.;
  manifest = lib.importTOML (root + "/Cargo.toml");
  members = [
    "systemd-unit-syntax"
    "nixos-nspawn-units"
    "nixos-nspawn-generator"
    "nixos-nspawn-ctl"
  ];
  flags = lib.concatMap (member: [
    "--package"
    member
  ]);
in
rustPlatform.buildRustPackage (finalAttrs: {
  pname = "nixos-nspawn" + lib.optionalString static "-static";
  inherit (manifest.workspace.package) version;

  src = lib.fileset.toSource {
    inherit root;
    fileset = lib.fileset.unions [
      (root + "/Cargo.toml")
      (root + "/CHANGELOG.md")
      (root + "/CONTRIBUTING.md")
      (root + "/LICENSE")
      (root + "/README.md")
      # Lists the Nix files to install.
      (root + "/Makefile")
      (root + "/Cargo.lock")
      (root + "/units")
      (root + "/generator")
      (root + "/ctl")
      (root + "/tests")
      (root + "/man")
      (root + "/docs")
      (root + "/examples")
      (root + "/systemd")
      (lib.fileset.difference (root + "/nix") (
        lib.fileset.unions [
          (root + "/nix/checker.nix")
          (root + "/nix/checks.nix")
          (root + "/nix/package.nix")
          (root + "/nix/templates")
          (root + "/nix/tests")
        ]
      ))
    ];
  };
  cargoLock.lockFile = root + "/Cargo.lock";

  nativeBuildInputs = [ installShellFiles ];
  buildInputs = lib.optional static glibc.static;

  env = {
    # Where drop-ins find the unit helper, ctl what it evaluates for --config, and services systemd's proxy.
    NIXOS_NSPAWN_HELPER = "${prefix}/libexec/nixos-nspawn/unit-helper";
    NIXOS_NSPAWN_NIX = "${prefix}/share/nixos-nspawn/nix";
    NIXOS_NSPAWN_SOCKET_PROXYD = "${if static then "/usr" else systemd}/lib/systemd/systemd-socket-proxyd";
  }
  // lib.optionalAttrs static {
    # buildRustPackage names the target, so build scripts and macros are not built this way.
    RUSTFLAGS = "-C target-feature=+crt-static";
  };

  cargoBuildFlags = flags members;
  # Whoever uses the flake compiles this. The flake's checks run the tests.
  doCheck = false;
  checkType = "debug";
  # The others boot throwaway hosts as root.
  cargoTestFlags = flags members ++ [
    "--lib"
    "--bins"
  ];

  postInstall = ''
    install -D --mode=0755 "$out/bin/nixos-nspawn-generator" "$out/libexec/nixos-nspawn/unit-helper"
    mkdir -p "$out/lib/systemd/system-generators"
    mv "$out/bin/nixos-nspawn-generator" "$out/lib/systemd/system-generators/"
    ln -s nixos-nspawn-ctl "$out/bin/nixos-nspawn"

    install -D --mode=0644 systemd/10-nixos-nspawn.conf --target-directory="$out/lib/systemd/networkd.conf.d"
    for unit in service timer; do
      install -D --mode=0644 systemd/nixos-nspawn-update.$unit --target-directory="$out/lib/systemd/system"
    done
    substituteInPlace "$out/lib/systemd/system/nixos-nspawn-update.service" \
      --replace-fail "ExecStart=nixos-nspawn " "ExecStart=$out/bin/nixos-nspawn "
    installManPage man/*.[1-8]

    share="$out/share/nixos-nspawn"
    install -D --mode=0644 docs/nixos-nspawn.schema.json "$share/nixos-nspawn.schema.json"
    install -D --mode=0644 docs/json/*.schema.json --target-directory="$share/json"
    mkdir -p "$share/nix"
    cp --recursive examples "$share/examples"
    doc="$out/share/doc/nixos-nspawn"
    install -D --mode=0644 README.md CHANGELOG.md CONTRIBUTING.md LICENSE --target-directory="$doc"
    (cd docs && find . \( -name '*.md' -o -name '*.svg' \) -exec install -D --mode=0644 {} "$doc/docs/{}" ';')
    install --mode=0644 $(sed -n 's/^NIX_FILES = //p' Makefile) "$share/nix"
  ''
  + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    for shell in bash fish zsh; do
      installShellCompletion --cmd nixos-nspawn "--$shell" <("$out/bin/nixos-nspawn" completions "$shell")
    done
    ln -s nixos-nspawn.bash "$out/share/bash-completion/completions/nixos-nspawn-ctl.bash"
    ln -s nixos-nspawn.fish "$out/share/fish/vendor_completions.d/nixos-nspawn-ctl.fish"
  '';

  nativeInstallCheckInputs = [ versionCheckHook ];
  versionCheckProgram = "${placeholder "out"}/bin/nixos-nspawn";
  doInstallCheck = stdenv.buildPlatform.canExecute stdenv.hostPlatform;
  installCheckPhase = ''
    runHook preInstallCheck
    generator="$out/lib/systemd/system-generators/nixos-nspawn-generator"
    "$generator" --version | grep --fixed-strings --line-regexp "unit-helper $NIXOS_NSPAWN_HELPER"
    mkdir -p root/etc/nixos-nspawn generated
    "$generator" --root root generated
    "$out/bin/nixos-nspawn" --root root list
  ''
  + lib.optionalString static ''
    if readelf --program-headers "$generator" | grep INTERP; then
      echo "$generator: is not static" >&2
      exit 1
    fi
  ''
  + ''
    runHook postInstallCheck
  '';

  # Other packages have the same name, but not the `verify` that mkContainer runs.
  passthru.canVerify = true;

  # One virtual machine test per file.
  passthru.tests = lib.genAttrs (map (lib.removeSuffix ".nix") (
    builtins.attrNames (builtins.readDir ./tests)
  )) (
    test:
    testers.runNixOSTest (
      import (./tests + "/${test}.nix") {
        self = {
          lib = import ./lib.nix { packageFor = _: finalAttrs.finalPackage; };
          nixosModules.default.imports = [
            ./module.nix
            { nixos.containers.package = finalAttrs.finalPackage; }
          ];
        };
      }
    )
  );

  meta = {
    description = "NixOS containers on systemd-nspawn, managed one by one";
    homepage = manifest.workspace.package.repository;
    changelog = "${finalAttrs.meta.homepage}/CHANGELOG.md";
    license = lib.licenses.mit;
    mainProgram = "nixos-nspawn";
    maintainers = [ ];
    platforms = lib.platforms.linux;
  };
})
