# Checks where a container's options mount something inside: returns the paths that more than one of them claims, and those
# where nothing can be mounted. The whole rule is that of units/src/intent/mount.rs, which sees paths with escaped characters as well.
{ lib }:
settings:
let
  syntax = import ./syntax.nix;

  # Single slashes, and none at the end.
  normal =
    path:
    "/"
    + lib.concatStringsSep "/" (
      builtins.filter (part: builtins.isString part && part != "") (builtins.split "/" path)
    );
  claim = option: written: path: {
    inherit option written;
    path = normal path;
  };
  escaped = written: builtins.isString written && builtins.match ".*\\\\.*" written != null;

  bind =
    value:
    if builtins.isString value then
      syntax.bindDestination value
    else if value.destination == null then
      value.source
    else
      value.destination;
  device =
    value:
    if builtins.isString value then
      (
        let
          found = builtins.match "(.*):[a-z]{1,3}" value;
        in
        if found == null then value else builtins.head found
      )
    else
      value.path;
  claims =
    map (value: claim "bindMounts" value (bind value)) (
      builtins.filter (value: !escaped value) settings.bindMounts
    )
    # Two devices of one path are never the same, since it has permissions of its own.
    ++ lib.imap0 (index: value: claim "devices" index (device value)) settings.devices
    ++ map (value: claim "tmpfs" value (builtins.head (builtins.match "([^:]*).*" value))) (
      builtins.filter (value: !escaped value) settings.tmpfs
    )
    ++ map (value: claim "inaccessiblePaths" value value) settings.inaccessiblePaths;

  # Merged modules may say the same thing twice.
  clashing =
    claims:
    builtins.filter (
      a: builtins.any (b: a.path == b.path && (a.option != b.option || a.written != b.written)) claims
    ) claims;
  within = above: path: path == above || lib.hasPrefix "${above}/" path;
in
{
  # Paths with the options that claim them.
  twice = lib.mapAttrs (_: claims: lib.unique (map (claim: claim.option) claims)) (
    lib.groupBy (claim: claim.path) (clashing claims)
  );
  # The container's root and the store, which nothing can be mounted on.
  impossible = builtins.filter (claim: claim.path == "/" || within "/nix/store" claim.path) claims;
}
