# Imitates the parts of NixOS's boot and switch that have broken containers: an activation that remounts the special file
# systems, links /etc/localtime and makes /var/empty immutable, a firewall that drops packets, units that wait for the
# network, and a switch with NixOS's messages and exit statuses. Turns a configuration into arguments for ../container.nix.
# The scripts are in a here-document, so a `$` for run time is escaped.
{ config, lib }:
let
  inherit (lib) concatMapStringsSep concatStringsSep mapAttrsToList optionalString;
  cfg = config.likeNixOS;
  firewall = config.networking.firewall;
  waits = builtins.elem "multi-user.target" config.systemd.targets.network-online.wantedBy;
  ports = list: concatMapStringsSep ", " toString list;
  online = "systemd-networkd-wait-online.service";

  # Mount options as NixOS has them.
  specialFileSystems = {
    "/dev" = "nosuid,strictatime,mode=755,size=5%";
    "/dev/pts" = "nosuid,noexec,mode=620,ptmxmode=0666";
    "/dev/shm" = "nosuid,nodev,strictatime,mode=1777";
    "/proc" = "nosuid,noexec,nodev";
    "/run" = "nosuid,nodev,strictatime,mode=755";
    "/run/keys" = "nosuid,nodev,mode=750";
    "/run/wrappers" = "nodev,mode=755";
  };
  mounts = builtins.filter (where: specialFileSystems ? ${where}) (
    builtins.attrNames config.boot.specialFileSystems
  );
  specialfs = concatMapStringsSep "\n" (where: ''
    if grep -q ' ${where} ' /proc/self/mounts; then
      mount -t tmpfs -o remount,${specialFileSystems.${where}} tmpfs ${where} || return
    else
      mkdir -p ${where}
      mount -t tmpfs -o ${specialFileSystems.${where}} tmpfs ${where} || return
    fi
  '') mounts;

  snippets = {
    inherit specialfs;
    # systemd-tmpfiles does this, and ignores errors.
    var = "mkdir -p /var/empty; chattr +i /var/empty 2>/dev/null || :";
    etc = ''
      mkdir -p /etc
      ${optionalString (config.time.timeZone != null) "ln -sfn /etc/zoneinfo/${config.time.timeZone} /etc/localtime"}'';
  }
  // cfg.snippets;

  activate = ''
    activated=0
    ${concatStringsSep "\n" (
      mapAttrsToList (name: commands: ''
        snippet() {
        ${commands}
        }
        snippet || { echo "Activation script snippet '${name}' failed (\$?)" >&2; activated=1; }
      '') snippets
    )}'';

  # Written again, because a switch stops units that the new system lacks.
  units = ''
    mkdir -p /run/systemd/system/multi-user.target.wants
    rm -f /run/systemd/system/multi-user.target.wants/*
    ${concatStringsSep "\n" (
      mapAttrsToList (name: commands: ''
        printf '%s\n' '[Service]' 'Type=oneshot' 'RemainAfterExit=yes' 'ExecStart=/bin/sh -c "${commands}"' > /run/systemd/system/${name}.service
        ln -sfn ../${name}.service /run/systemd/system/multi-user.target.wants/${name}.service
      '') cfg.services
    )}
    ${optionalString waits ''
      mkdir -p /run/systemd/system/network-online.target.wants
      ln -sfn /usr/lib/systemd/system/${online} /run/systemd/system/network-online.target.wants/${online}
      ln -sfn /usr/lib/systemd/system/network-online.target /run/systemd/system/multi-user.target.wants/network-online.target
    ''}
    ${optionalString config.services.resolved.enable ''
      mkdir -p /run/systemd/resolved.conf.d
      printf '%s\n' '[Resolve]' LLMNR=yes > /run/systemd/resolved.conf.d/nixos.conf
      ln -sfn /usr/lib/systemd/system/systemd-resolved.service /run/systemd/system/multi-user.target.wants/systemd-resolved.service
    ''}'';

  rules = ''
    nft -f - <<'RULES'
    table inet nixos-fw {
      chain input {
        type filter hook input priority filter; policy drop;
        iifname "lo" accept
        ct state established,related accept
        meta l4proto { 1, 58 } accept
        ${optionalString (
          firewall.allowedTCPPorts != [ ]
        ) "tcp dport { ${ports firewall.allowedTCPPorts} } accept"}
        ${concatStringsSep "\n" (
          mapAttrsToList (
            name: one: ''iifname "${name}" udp dport { ${ports one.allowedUDPPorts} } accept''
          ) firewall.interfaces
        )}
      }
    }
    RULES'';
in
{
  programs = [
    "/usr/sbin/nft"
    "/usr/bin/chattr"
    "/usr/bin/resolvectl"
    "/usr/lib/systemd/systemd-resolved"
    "/usr/lib/systemd/systemd-networkd-wait-online"
  ];

  boot = ''
    ${activate}
    ${units}
    ${optionalString firewall.enable rules}
    exec /usr/lib/systemd/systemd'';

  switch = ''
    ${activate}
    before=\$(ls /run/systemd/system/multi-user.target.wants)
    ${units}
    systemctl daemon-reload
    for unit in \$before; do
      [ -e /run/systemd/system/multi-user.target.wants/\$unit ] || { echo "stopping the following units: \$unit" >&2; systemctl stop \$unit; }
    done
    for unit in \$(ls /run/systemd/system/multi-user.target.wants); do
      systemctl is-active --quiet \$unit || { systemctl start \$unit 2>/dev/null && echo "the following new units were started: \$unit" >&2; } || :
    done
    failed=\$(systemctl list-units --state=failed --plain --no-legend | cut -d' ' -f1 | tr '\n' ' ')
    [ -z "\$failed" ] || { echo "warning: the following units failed: \$failed" >&2; exit 4; }
    [ \$activated = 0 ] || exit 2
    exit 0'';
}
