# A small system made of the host's own systemd and busybox.
#
# In: a name and a few settings. Out: a derivation shaped like the profile of a NixOS container, that is `init` and
# `nixos-nspawn/data.json`, with /run/current-system and bin/switch-to-configuration as NixOS has them. It needs no
# nixpkgs, no binary cache and no compiler, so it builds in seconds on a machine that has nothing but Nix; for the same
# reason it is not NixOS, and it copies programs from the host's /usr, which Nix's sandbox would hide (see README.md).
{
  name,
  system,
  # Nothing but text the container serves on port 80.
  page ? "Hello from ${name}.\n",
  # Options of the container as `nixos-nspawn/data.json` has them; the ones left out get their defaults.
  container ? { },
  # Shell commands that run as the container's first process; this default boots systemd. Here and in `switch` a `$` is
  # expanded when the container is built, unless a backslash stands before it.
  boot ? "exec /usr/lib/systemd/systemd",
  # Shell commands of bin/switch-to-configuration, after it has made its changes; its exit status says how that went.
  switch ? "exit 0",
  # False leaves bin/switch-to-configuration out.
  switchable ? true,
  # Paths of additional programs of the host to copy into the container.
  programs ? [ ],
}:
let
  script =
    scriptName: text:
    derivation {
      inherit system;
      name = scriptName;
      builder = "/bin/sh";
      PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
      args = [
        "-euc"
        text
      ];
    };

  # /usr of the container: systemd, D-Bus and busybox with the libraries they load, at the places they look for them.
  userland = script "host-userland" ''
    mkdir -p $out/bin $out/lib/systemd $out/lib64 $out/share
    cp -L /usr/bin/busybox $out/bin/
    $out/bin/busybox --install -s $out/bin

    for program in busctl dbus-daemon dbus-send journalctl networkctl systemctl systemd-cgls systemd-detect-virt \
      systemd-notify systemd-run systemd-stdio-bridge systemd-tmpfiles; do
      rm -f $out/bin/$program
      cp -L /usr/bin/$program $out/bin/
    done
    for program in systemd systemd-executor systemd-journald systemd-networkd systemd-reply-password \
      systemd-shutdown systemd-sulogin-shell; do
      cp -L /usr/lib/systemd/$program $out/lib/systemd/
    done

    for program in ${toString programs}; do
      target=$out/''${program#/usr/}
      target=$(echo "$target" | sed "s|^$out/sbin/|$out/bin/|")
      rm -f "$target"
      cp -L "$program" "$target"
    done

    # Libraries that ldd does not show, because systemd opens them only when it needs them.
    libraries=$(find /usr/lib /usr/lib64 -maxdepth 2 ! -type d \( -name 'libacl.so.1' -o -name 'libblkid.so.1' \
      -o -name 'libcrypt.so.?' -o -name 'libgcrypt.so.20' -o -name 'libidn2.so.0' -o -name 'libkmod.so.2' -o -name 'libmount.so.1' \
      -o -name 'libnss_systemd.so.2' -o -name 'libseccomp.so.2' -o -name 'libselinux.so.1' \))
    loaded=$(ldd $(find $out/lib/systemd $out/bin -type f) $libraries 2>/dev/null |
      sed -n 's/.* => \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p')
    cd /usr
    cp -L --parents $(printf '%s\n' $loaded $libraries | sed 's|^/usr/|/|; s|^/||' | sort -u) $out

    # The units, but not who wants them: a container needs a handful of them only.
    mkdir -p $out/lib/systemd/system $out/lib/systemd/network $out/lib/tmpfiles.d
    find /usr/lib/systemd/system -maxdepth 1 ! -type d -exec cp -P -t $out/lib/systemd/system {} +
    cp /usr/lib/systemd/network/80-container-host0.network $out/lib/systemd/network/
    cp -a /usr/share/dbus-1 $out/share/
    printf '%s\n' 'd /var/lib 0755' 'd /var/log 0755' 'd /var/tmp 1777' 'd /run/log 0755' 'd /run/dbus 0755' \
      > $out/lib/tmpfiles.d/base.conf
    printf '%s\n' 'ID=host-userland' 'NAME="Userland of the host"' 'VERSION_ID=1' > $out/lib/os-release

    mkdir $out/etc
    grep -E '^(root|messagebus|systemd-network|systemd-resolve|systemd-journal|nobody|nogroup|adm|utmp|tty|kmem|disk|input|kvm):' \
      /etc/passwd > $out/etc/passwd
    grep -E '^(root|messagebus|systemd-network|systemd-resolve|systemd-journal|nobody|nogroup|adm|utmp|tty|kmem|disk|input|kvm):' \
      /etc/group > $out/etc/group
    printf '%s\n' 'passwd: files' 'group: files' 'shadow: files' 'hosts: files dns' > $out/etc/nsswitch.conf
  '';

  toplevel = script "nixos-system-${name}-stand-in" ''
    units=$out/etc/systemd/system
    mkdir -p $out/bin $units/sysinit.target.wants $units/sockets.target.wants $units/multi-user.target.wants
    ln -s ${userland} $out/sw
    echo stand-in > $out/nixos-version
    printf %s ${page'} > $out/etc/page

    ln -s /usr/lib/systemd/system/multi-user.target $units/default.target
    for unit in systemd-journald.service systemd-tmpfiles-setup.service; do
      ln -s /usr/lib/systemd/system/$unit $units/sysinit.target.wants/
    done
    for unit in systemd-journald.socket systemd-journald-dev-log.socket dbus.socket; do
      ln -s /usr/lib/systemd/system/$unit $units/sockets.target.wants/
    done
    for unit in dbus.service systemd-networkd.service; do
      ln -s /usr/lib/systemd/system/$unit $units/multi-user.target.wants/
    done
    # The store is the container's /usr: it must outlive everything that runs from it.
    mkdir $units/nix-store.mount.d
    printf '%s\n' '[Unit]' 'DefaultDependencies=no' > $units/nix-store.mount.d/keep.conf
    printf '%s\n' '[Service]' 'ExecStart=/usr/bin/httpd -f -p 80 -h /run/www' \
      'ExecStartPre=/bin/sh -c "mkdir -p /run/www && cp -f /run/current-system/etc/page /run/www/index.html"' \
      > $units/web.service
    ln -s ../web.service $units/multi-user.target.wants/

    cat > $out/init <<INIT
    #!${userland}/bin/busybox sh
    # As NixOS's first program does: everything outside the store is made anew, in a root that must be writable.
    export PATH=${userland}/bin
    set -e
    mkdir -p /etc /usr /var /tmp /root /run
    ln -sfn ../run /var/run
    for dir in bin lib lib64 share; do ln -sfn ${userland}/\$dir /usr/\$dir; done
    ln -sfn bin /usr/sbin
    for dir in bin sbin lib lib64; do ln -sfn usr/\$dir /\$dir; done
    ln -sfn ${userland}/lib/os-release /etc/os-release
    for file in passwd group nsswitch.conf; do
      [ -e /etc/\$file ] || cp ${userland}/etc/\$file /etc/\$file
    done
    [ -s /etc/machine-id ] || echo \$container_uuid | tr -d - > /etc/machine-id
    mkdir -p /etc/systemd
    ln -sfn $out/etc/systemd/system /etc/systemd/system
    ln -sfn $out /run/current-system
    ln -sfn $out /run/booted-system
    ${boot}
    INIT

    ${
      if switchable then
        ''
          cat > $out/bin/switch-to-configuration <<SWITCH
          #!${userland}/bin/busybox sh
          # In: what to do (NixOS: switch, boot, test, dry-activate). Out: the new page, and a line in a log. As in NixOS, units
          # that failed before are forgotten. Exit status 2: the activation failed, 4: units failed, 100: restart.
          export PATH=${userland}/bin
          echo "activating the configuration..."
          systemctl reset-failed
          echo "\$1 $out" >> /var/log/switch-to-configuration
          ln -sfn $out /run/current-system
          cp -f $out/etc/page /run/www/index.html
          ${switch}
          SWITCH
          chmod +x $out/bin/switch-to-configuration
        ''
      else
        "rmdir $out/bin"
    }
    chmod +x $out/init
  '';

  page' = "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] page}'";

  data = builtins.toJSON (
    {
      activation = {
        strategy = "restart";
        autoStart = true;
        reloadScript = null;
      };
      bindMounts = [ ];
      bridge = null;
      containerNetworkConfig = null;
      credentials = [ ];
      declarative = false;
      ephemeral = false;
      forwardPorts = [ ];
      hostNetworkConfig = null;
      mountDaemonSocket = false;
      sharedNix = true;
      systemCallFilter = null;
      userNamespacing = false;
      zone = null;
    }
    // container
  );
in
derivation {
  inherit system data toplevel;
  name = "nixos-container-${name}";
  builder = "/bin/sh";
  PATH = "/usr/local/bin:/usr/bin:/bin";
  args = [
    "-euc"
    ''
      mkdir -p $out/nixos-nspawn
      ln -s $toplevel/init $out/init
      [ ! -e $toplevel/bin ] || ln -s $toplevel/bin $out/bin
      printf %s "$data" > $out/nixos-nspawn/data.json
    ''
  ];
}
