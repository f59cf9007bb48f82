# Translates `containers` of NixOS, as written in a configuration, to `nixos.containers.instances` with the same meaning:
# defaults that differ are spelled out. docs/coming-from-containers.md has the table.
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    filter
    isAttrs
    mapAttrs
    ;

  known = [
    "additionalCapabilities"
    "allowedDevices"
    "autoStart"
    "bindMounts"
    "config"
    "enableTun"
    "ephemeral"
    "extraVeths"
    "forwardPorts"
    "hostAddress"
    "hostAddress6"
    "hostBridge"
    "interfaces"
    "localAddress"
    "localAddress6"
    "macvlans"
    "networkNamespace"
    "nixpkgs"
    "privateNetwork"
    "privateUsers"
    "restartIfChanged"
    "specialArgs"
    "timeoutStartSec"
    "tmpfs"
  ];
  # Why these cannot be translated.
  impossible = {
    extraFlags = "flags of systemd-nspawn become options, or settings in `nspawnConfig'";
    flake = "give the modules of the flake in `config.imports'";
    path = "a system that is built already is for `nixos-nspawn create --profile'";
  };

  optional = condition: set: if condition then set else { };
  withPrefix =
    length: address:
    if builtins.match ".*/.*" address == null then "${address}/${toString length}" else address;

  translate =
    name: container:
    let
      refuse = option: reason: throw "containers.${name}.${option} cannot be translated: ${reason}";
      strangers = filter (option: !(elem option known)) (attrNames container);
      get = option: default: if container ? ${option} then container.${option} else default;
      isSet = option: get option null != null;

      # To systemd-nspawn, each of these means a private network as well.
      own =
        get "privateNetwork" false
        || get "interfaces" [ ] != [ ]
        || get "macvlans" [ ] != [ ]
        || get "extraVeths" { } != { };
      addresses = filter isSet [
        "hostAddress"
        "hostAddress6"
        "localAddress"
        "localAddress6"
      ];
      bridged = isSet "hostBridge";
      ports = get "forwardPorts" [ ];
      # systemd-nspawn has a pair of interfaces for a private network with one of these only.
      hasPair = bridged || addresses != [ ] || ports != [ ];

      # One address at each end, and routes from one to the other.
      end =
        near: far: isHost:
        let
          each =
            suffix: length:
            let
              here = get "${near}${suffix}" null;
              there = get "${far}${suffix}" null;
              bare = builtins.head (builtins.match "([^/]*).*" there);
            in
            {
              address = if here == null then [ ] else [ (withPrefix length here) ];
              routes =
                if there == null then
                  [ ]
                else
                  [ { Destination = "${bare}/${toString length}"; } ]
                  ++ (
                    if isHost then
                      [ ]
                    else
                      [
                        {
                          Gateway = bare;
                          GatewayOnLink = true;
                        }
                      ]
                  );
            };
          families = [
            (each "" 32)
            (each "6" 128)
          ];
        in
        {
          address = concatMap (family: family.address) families;
          routes = concatMap (family: family.routes) families;
        };
      # On a bridge the addresses have a prefix, and the host's end none.
      hostEnd = end "hostAddress" "localAddress" true;
      containerEnd = end "localAddress" "hostAddress" false;

      bindMount =
        place: mount:
        let
          destination = mount.mountPoint or place;
          source = if mount.hostPath or null == null then destination else mount.hostPath;
        in
        {
          inherit source destination;
          readOnly = mount.isReadOnly or true;
        };
      mounts = get "bindMounts" { };

      veths = get "extraVeths" { };
      configured = filter (
        veth: filter (value: value != null && value != [ ]) (builtins.attrValues veths.${veth}) != [ ]
      ) (attrNames veths);

      users = get "privateUsers" "no";
      serviceConfig = optional (get "allowedDevices" [ ] != [ ]) {
        DeviceAllow = map (device: "${device.node} ${device.modifier}") container.allowedDevices;
      };
    in
    if !isAttrs container then
      refuse "config" "give `containers' as an attribute set, without functions around a container"
    else if strangers != [ ] then
      refuse (builtins.head strangers) (
        impossible.${builtins.head strangers} or "there is no such option known here"
      )
    else if configured != [ ] then
      refuse "extraVeths.${builtins.head configured}" "its addresses and its bridge are configured by systemd-networkd, see `systemd.network.networks'"
    else if !(get "privateNetwork" false) && hasPair then
      refuse (builtins.head (
        addresses
        ++ [
          (if bridged then "hostBridge" else "forwardPorts")
        ]
      )) "it has no effect without privateNetwork"
    else
      {
        activation = {
          autoStart = get "autoStart" false;
        }
        // optional (!(get "restartIfChanged" true)) { strategy = "none"; };
        network =
          if isSet "networkNamespace" || (own && hasPair) then
            "private"
          else if own then
            "none"
          else
            "host";
      }
      // optional (isSet "config") { inherit (container) config; }
      // optional (isSet "nixpkgs") { inherit (container) nixpkgs; }
      // optional (isSet "specialArgs") { inherit (container) specialArgs; }
      // optional (mounts != { }) {
        bindMounts = map (place: bindMount place mounts.${place}) (attrNames mounts);
      }
      // optional (get "tmpfs" null != null) { inherit (container) tmpfs; }
      // optional (get "ephemeral" false) { ephemeral = true; }
      // optional (isSet "timeoutStartSec") { inherit (container) timeoutStartSec; }
      // optional (get "enableTun" false) { tun = true; }
      // optional (get "additionalCapabilities" [ ] != [ ]) {
        capabilities.add = container.additionalCapabilities;
      }
      // optional (serviceConfig != { }) { inherit serviceConfig; }
      // {
        userNamespacing = users == "pick";
      }
      // optional (users != "no" && users != "pick") { nspawnConfig.Exec.PrivateUsers = users; }
      // optional bridged { bridge = container.hostBridge; }
      // optional (ports != [ ]) {
        forwardPorts = map (
          port:
          {
            inherit (port) hostPort;
          }
          // optional (port ? containerPort) { inherit (port) containerPort; }
          // optional (port ? protocol) { inherit (port) protocol; }
        ) ports;
      }
      // optional (addresses != [ ] && !bridged) {
        # An empty address removes the default.
        hostNetworkConfig = hostEnd // {
          address = [ "" ] ++ hostEnd.address;
          networkConfig.DHCPServer = "no";
        };
      }
      // optional (addresses != [ ]) {
        containerNetworkConfig = containerEnd // {
          networkConfig.DHCP = "no";
        };
      }
      // optional (get "macvlans" [ ] != [ ]) { macvlan = container.macvlans; }
      // optional (get "interfaces" [ ] != [ ]) { inherit (container) interfaces; }
      // optional (veths != { }) { extraVeths = attrNames veths; }
      // optional (isSet "networkNamespace") { namespacePath = container.networkNamespace; };
in
mapAttrs translate
