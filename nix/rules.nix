# NixOS assertions about a container's options: what nspawn or nixos-nspawn would refuse is refused during evaluation, with the
# names of the options. Rules between containers are not checked here.
{ lib }:
{
  # "nixosContainer", or "nixos.containers.instances.<name>".
  option,
  # The container's name.
  container,
  settings,
}:
let
  inherit (import ./ports.nix { inherit lib; })
    completes
    hostSide
    overlaps
    parts
    ;
  known = import ./known.nix;
  mounts = import ./mounts.nix { inherit lib; } settings;

  name = path: "`${option}.${path}'";
  isSet = path: settings.${path} != null && settings.${path} != [ ];
  both = a: b: reason: {
    assertion = !(isSet a && isSet b);
    message = "${name a} and ${name b} are both set, but ${reason}.";
  };
  # For a kind of network, refuses each of these options.
  without =
    network: paths: reason:
    map (path: {
      assertion = !(network && isSet path);
      message = "${name path} is set, but ${reason}.";
    }) paths;

  forwarded = map parts settings.forwardPorts;
  # Pairs of forwards that conflict.
  clashing =
    ports:
    if ports == [ ] then
      [ ]
    else
      let
        port = builtins.head ports;
        others = builtins.tail ports;
      in
      map (other: { inherit port other; }) (
        builtins.filter (other: overlaps port other && !completes port other) others
      )
      ++ clashing others;
  clashes = clashing forwarded;
  # Options that name the container itself.
  dependencies =
    builtins.filter
      (
        path:
        builtins.any (
          unit: unit == container || unit == "systemd-nspawn@${container}.service"
        ) settings.${path}
      )
      [
        "after"
        "requires"
        "wants"
      ];
  ids = map (credential: credential.id) settings.credentials;
  duplicates =
    values: lib.unique (builtins.filter (value: lib.count (other: other == value) values > 1) values);
  unique = path: values: what: {
    assertion = duplicates values == [ ];
    message = "${name path}: ${what} ${lib.concatStringsSep ", " (duplicates values)} is given more than once.";
  };

  serviceSettings = builtins.attrNames settings.serviceConfig;
  refused = lib.intersectLists serviceSettings known.refusedServiceSettings;
  isEmpty = value: value == "" || (builtins.isList value && builtins.elem "" value);
  emptied = builtins.filter (
    setting:
    builtins.elem setting known.serviceSettingsThatMustNotBeEmpty
    && isEmpty settings.serviceConfig.${setting}
  ) serviceSettings;
  unknown =
    section:
    builtins.filter (
      setting: !(builtins.elem setting known.nspawn.${section} || lib.hasPrefix "X-" setting)
    ) (builtins.attrNames settings.nspawnConfig.${section});

  freePrivate = settings.nspawnConfig.Network.Private or null;
  isPrivate =
    !(builtins.elem (if builtins.isList freePrivate then lib.last freePrivate else freePrivate) [
      false
      "0"
      "no"
      "n"
      "false"
      "f"
      "off"
    ]);
  interfaces = [
    "macvlan"
    "ipvlan"
    "interfaces"
    "extraVeths"
  ];
  pair = [
    "zone"
    "bridge"
    "hostNetworkConfig"
    "containerNetworkConfig"
    "forwardPorts"
  ];
in
[
  (both "zone" "bridge" "systemd-nspawn takes one of them")
  {
    assertion = !(isSet "zone" && isSet "hostNetworkConfig");
    message = "${name "hostNetworkConfig"} and ${name "zone"} are both set, but a zone's containers share one interface on the host. Use `nixos.containers.zones.${toString settings.zone}' on a NixOS host.";
  }
  {
    assertion = isPrivate || !isSet "forwardPorts";
    message = "${name "forwardPorts"} is set, but ports can be forwarded only to a private network, which `Private' in ${name "nspawnConfig.Network"} turns off.";
  }
  {
    assertion = clashes == [ ];
    message = "${name "forwardPorts"}: ${
      lib.concatMapStringsSep ", " (
        { port, other }:
        if hostSide port == hostSide other then
          "host port ${hostSide port} is given more than once"
        else
          "host port ${hostSide port} and ${hostSide other} overlap"
      ) clashes
    }.";
  }
  {
    assertion = builtins.all (
      port: port.protocol == "tcp" || port.hostAddress == null && !port.startOnConnect
    ) forwarded;
    message = "${name "forwardPorts"}: a host address and startOnConnect are for TCP only; systemd-socket-proxyd does not forward UDP.";
  }
  (unique "credentials" ids "the id")
  {
    assertion = dependencies == [ ];
    message = "${lib.concatMapStringsSep " and " name dependencies}: the container cannot depend on itself.";
  }
  {
    assertion = settings.sharedNix;
    message = "${name "sharedNix"} must be true: containers without the host's store are not supported.";
  }
  {
    assertion = lib.intersectLists settings.capabilities.add settings.capabilities.drop == [ ];
    message = "${name "capabilities.add"} and ${name "capabilities.drop"} both list ${lib.concatStringsSep ", " (lib.intersectLists settings.capabilities.add settings.capabilities.drop)}.";
  }
  {
    assertion = mounts.twice == { };
    message = "${
      lib.concatMapStringsSep " and " name (lib.unique (lib.concatLists (builtins.attrValues mounts.twice)))
    }: more than one of them is mounted at ${lib.concatStringsSep ", " (builtins.attrNames mounts.twice)}.";
  }
  {
    assertion = mounts.impossible == [ ];
    message = "${
      lib.concatMapStringsSep " and " name (lib.unique (map (claim: claim.option) mounts.impossible))
    }: nothing can be mounted at ${lib.concatMapStringsSep ", " (claim: claim.path) mounts.impossible}.";
  }
  {
    assertion = refused == [ ];
    message = "${name "serviceConfig"}: ${lib.concatMapStringsSep ", " (setting: "${setting}=") refused} would break the container's life cycle and cannot be set.";
  }
  {
    assertion = emptied == [ ];
    message = "${name "serviceConfig"}: an empty ${lib.concatMapStringsSep ", " (setting: "${setting}=") emptied} would remove what nixos-nspawn sets.";
  }
  {
    assertion = settings.hostNetworkConfig.matchConfig.Name or null == null;
    message = "${name "hostNetworkConfig.matchConfig.Name"} cannot be set: nixos-nspawn sets the name of the container's interface.";
  }
  {
    assertion = settings.namespacePath == null || settings.network == "private";
    message = "${name "network"} is `${settings.network}', but ${name "namespacePath"} already selects the container's network.";
  }
]
++ map (section: {
  assertion = unknown section == [ ];
  message = "${name "nspawnConfig.${section}"}: section [${section}] of systemd.nspawn(5) has no ${
    lib.concatMapStringsSep ", " (setting: "${setting}=") (unknown section)
  }.";
}) (builtins.attrNames settings.nspawnConfig)
++ without (settings.network == "host") (
  pair ++ interfaces
) "${name "network"} is `host': the container has no network of its own"
++ without (
  settings.network == "none"
) pair "${name "network"} is `none': the container has no pair of interfaces"
++ without (settings.namespacePath != null) (
  pair ++ interfaces
) "${name "namespacePath"} gives the container an existing network, to which nothing is added"
