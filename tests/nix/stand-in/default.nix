# The package set of the stand-in: what mkContainer needs of one to build a profile, by the shell of the machine.
{ system }:
{
  stdenv.hostPlatform = { inherit system; };
  runCommandLocal =
    name: attributes: script:
    derivation (
      removeAttrs attributes [ "passthru" ]
      // {
        inherit name system;
        builder = "/bin/sh";
        PATH = "/usr/bin:/bin";
        args = [
          "-euc"
          script
        ];
      }
    )
    // attributes.passthru or { };
}
