# What stands in for nixpkgs in the tests, as a flake.
{
  outputs = _: {
    lib = import ./lib;
  };
}
