# What stands in for nixpkgs, as a flake. In: nothing. Out: its lib.
{
  outputs = _: {
    lib = import ./lib;
  };
}
