# Translates values of systemd.nspawn.<name> to `nspawnConfig`. `definitions` are the values in the container's and the host's
# configuration, `container` its options.
{ lib }:
{ container, definitions }:
let
  # Until 2025 NixOS called the sections by names of its own.
  section =
    settings: old: map (nspawn: nspawn.settings.${settings} or nspawn.${old} or { }) definitions;
  networks = section "Network" "networkConfig";
  has = setting: builtins.any (network: network ? ${setting}) networks;

  isOff =
    value:
    builtins.elem value [
      false
      "no"
      "n"
      "false"
      "f"
      "off"
      "0"
    ];
  # Each of these settings gives the container a network of its own.
  settings = [
    "Private"
    "VirtualEthernetExtra"
    "Bridge"
    "Zone"
    "Interface"
    "MACVLAN"
    "IPVLAN"
    "NamespacePath"
  ];
  options = [
    "zone"
    "bridge"
    "hostNetworkConfig"
    "namespacePath"
    "macvlan"
    "ipvlan"
    "interfaces"
    "extraVeths"
  ];
  isSet = option: container.${option} != null && container.${option} != [ ];
in
{
  Exec = lib.mkMerge (section "Exec" "execConfig");
  Files = lib.mkMerge (section "Files" "filesConfig");
  Network = lib.mkMerge (
    networks
    # To nspawn, a VirtualEthernet=no without any of these means the host's network.
    ++
      lib.optional
        (
          builtins.any (network: isOff (network.VirtualEthernet or true)) networks
          && container.network == "private"
          && !(builtins.any has settings)
          && !(builtins.any isSet options)
        )
        {
          Private = false;
        }
  );
}
