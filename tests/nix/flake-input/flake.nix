# Stands in for the flake nixpkgs where flake.nix of this project is evaluated in tests. In: nothing. Out: as much of
# nixpkgs' lib and packages as that file and nix/package.nix use. What would be built shows its arguments instead.
{
  outputs =
    { self }:
    let
      lib = {
        inherit (builtins) concatMap;
        genAttrs =
          names: value:
          builtins.listToAttrs (
            map (name: {
              inherit name;
              value = value name;
            }) names
          );
        importTOML = file: builtins.fromTOML (builtins.readFile file);
        optional = condition: value: if condition then [ value ] else [ ];
        optionalAttrs = condition: value: if condition then value else { };
        optionalString = condition: value: if condition then value else "";
        removeSuffix =
          suffix: text:
          builtins.substring 0 (builtins.stringLength text - builtins.stringLength suffix) text;
        licenses.mit = "mit";
        platforms.linux = self.systems;
        # Sets of files are lists of paths, each of which must be there.
        fileset = {
          unions = sets: builtins.concatLists (map (set: if builtins.isList set then set else [ set ]) sets);
          difference = set: _: [ set ];
          toSource =
            { root, fileset }:
            map (file: if builtins.pathExists file then toString file else throw "${toString file}: is not there") fileset;
        };
      };

      packages =
        system:
        let
          arguments = {
            inherit lib;
            glibc.static = "glibc-static";
            systemd = "systemd";
            installShellFiles = "installShellFiles";
            testers.runNixOSTest = test: shown "test" { inherit test; };
            versionCheckHook = "versionCheckHook";
            rustPlatform.buildRustPackage =
              make:
              let
                final = make (final // { finalPackage = package; });
                package = shown "package" final // final.passthru;
              in
              package;
            stdenv = rec {
              buildPlatform.canExecute = _: true;
              hostPlatform = buildPlatform;
            };
          };
          # A derivation that can be named, and its arguments.
          shown =
            name: arguments:
            derivation {
              inherit name system;
              builder = "/bin/sh";
            }
            // {
              inherit arguments;
              overrideAttrs = changes: shown name (arguments // changes);
            };
        in
        builtins.listToAttrs (
          map
            (name: {
              inherit name;
              value = name;
            })
            [
              "cargo"
              "clippy"
              "mandoc"
              "mmdebstrap"
              "nixfmt"
              "nixfmt-tree"
              "rustc"
              "rustfmt"
            ]
        )
        // {
          callPackage =
            file: given:
            let
              function = import file;
            in
            function (builtins.intersectAttrs (builtins.functionArgs function) arguments // given);
          mkShell = shown "shell";
        };
    in
    {
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      inherit lib;
      legacyPackages = lib.genAttrs self.systems packages;
    };
}
