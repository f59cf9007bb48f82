# Runs programs of unit tests in the sandbox of a build, each in the directory with the sources. In: that directory; together
# with /programs and /bin/busybox, `sandbox-paths` of nix.conf(5) brings it into the sandbox. Out: a derivation that fails if one
# of them does.
{ sources }:
derivation {
  name = "unit-tests";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [
    "-euc"
    ''
      mkdir tools
      for tool in $(/bin/busybox --list); do ln -s /bin/busybox "tools/$tool"; done
      export PATH=$PWD/tools
      cd ${sources}
      for program in /programs/*; do "$program"; done
      touch $out
    ''
  ];
}
