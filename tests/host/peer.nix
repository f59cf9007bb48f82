# A profile as python-nixos-nspawn's mkContainer builds it, of the files that it would put into it (tests/golden/reference)
# and a system that is in the store already.
{
  name,
  files,
  toplevel,
}:
derivation {
  inherit name;
  system = builtins.currentSystem;
  builder = "/bin/sh";
  PATH = "/usr/bin:/bin";
  files = builtins.path {
    name = "nixos-nspawn";
    path = /. + files;
  };
  toplevel = builtins.storePath toplevel;
  args = [
    "-euc"
    "mkdir $out && cp -r $files $out/nixos-nspawn && ln -s $toplevel/init $out/init"
  ];
}
