# An overlay for nixpkgs/stub.nix: what a minimal NixOS needs is real, made of Debian's programs.
#   tar    absolute path, on the building machine, of an archive of a Debian tree (../up makes it, with patchelf beside it); read while building
#   hash   what changes when the archive does
{ tar, hash }:
final: prev:
# A container of a host gets the host's packages, which have it already.
if prev ? debianRoot then { } else
let
  inherit (prev) lib;
  system = "x86_64-linux";

  raw = name: env: script: derivation ({
    inherit name system;
    builder = "/bin/bash";
    args = [ script ];
    PATH = "/usr/bin:/bin:/usr/sbin:/sbin";
    preferLocalBuild = true;
    allowSubstitutes = false;
  } // env);

  # The whole Debian tree, with programs that run from the store.
  root = raw "debian-root" { inherit tar hash; } ./root.sh;

  # Gives a derivation the attributes that a package in nixpkgs has, and those that the stub had.
  dress = old: drv: attrs:
    let
      self = (removeAttrs old [ "drvAttrs" ]) // drv // {
        version = old.version or "1.0";
        pname = old.pname or drv.name;
        meta = (old.meta or { }) // { mainProgram = attrs.main or (old.pname or drv.name); outputsToInstall = [ "out" ]; };
        override = _: self;
        overrideAttrs = _: self;
        overrideDerivation = _: self;
      } // lib.genAttrs [ "bin" "dev" "lib" "man" ] (_: drv) // { out = drv; passthru = attrs.passthru or { }; stdenv = final.stdenv; src = "/stub/src"; } // (attrs.passthru or { });
    in self;

  deb = name: { debs ? [ ], extra ? "", ... }@attrs:
    let old = attrs.old or prev.${name} or { };
    in dress old (raw "${name}-${old.version or "1.0"}" { inherit root extra debs; } ./package.sh) attrs;

  bash = "${final.bash}/bin/bash";
  strict = name: env: script:
    let
      fixed = lib.mapAttrs (_: v: if builtins.isBool v || builtins.isString v || builtins.isInt v || builtins.isPath v || builtins.isList v || (v ? outPath) then v else "") (removeAttrs env [ "meta" "passthru" "nativeBuildInputs" "buildInputs" "depsBuildBuild" "override" "nativeCheckInputs" "outputs" "stubInputs" "preferLocalBuild" "allowSubstitutes" ]);
    in
    dress { pname = name; version = "1.0"; } (raw (lib.strings.sanitizeDerivationName name) (fixed // {
      inherit root;
      stubPath = lib.makeBinPath [ root.usr or "${root}/usr" ];
      SHELLPATH = bash;
      stubInputs = lib.filter (v: v != null && (v ? outPath || builtins.isString v)) (lib.flatten [ (env.nativeBuildInputs or [ ]) (env.buildInputs or [ ]) ]);
    } // script) ./stdenv.sh) { passthru = env.passthru or { }; };

  run = name: env: text: strict name (env // { passAsFile = (env.passAsFile or [ ]) ++ [ "buildCommand" ]; }) { buildCommand = text; };
  makeDrv = a:
    let
      attrs = if lib.isFunction a then lib.fix (self: a (self // { finalPackage = makeDrv a; })) else a;
      name = attrs.name or "${attrs.pname}-${attrs.version}";
      d = strict name (removeAttrs attrs [ "name" ] // lib.optionalAttrs (attrs ? buildCommand) { passAsFile = (attrs.passAsFile or [ ]) ++ [ "buildCommand" ]; }) { };
    in d // { overrideAttrs = f: makeDrv (attrs // (if lib.isFunction f then f ({ postInstall = ""; buildCommand = ""; } // attrs) else f)); };

  values = v: builtins.toJSON (lib.mapAttrs (_: x: if x == null then null else if builtins.isBool x then (if x then "1" else "") else toString x) (lib.filterAttrs (_: x: x == null || builtins.isBool x || builtins.isInt x || builtins.isString x || builtins.isPath x || builtins.isList x || (builtins.isAttrs x && x ? outPath)) v));
  subst = name: src: v: more: dress { pname = name; } (raw name ({ source = "${src}"; values = values v; } // more) ./subst.sh) { };

  # /usr/lib and so on of a container: paths that are compiled into Debian's programs. No units, no tmpfiles.d, sysusers.d,
  # presets: NixOS's are in /etc, and nixpkgs' systemd has none of its own in force.
  usr = raw "debian-usr" { inherit root; extra = ''
    mkdir -p $out/lib/systemd $out/bin $out/sbin $out/share
    for e in $root/usr/lib/*; do case ''${e##*/} in systemd|tmpfiles.d|sysusers.d|sysctl.d|modprobe.d|os-release|pam.d|gcc|environment.d|apt|dpkg|init|lsb) ;; *) ln -s $e $out/lib/;; esac; done
    for e in $root/usr/lib/systemd/*; do case ''${e##*/} in system|user|system-preset|user-preset|*.conf.d|network) ;; *) ln -s $e $out/lib/systemd/;; esac; done
    mkdir $out/lib/systemd/network; for e in $root/usr/lib/systemd/network/*; do case $e in *.example) ;; *) ln -s $e $out/lib/systemd/network/;; esac; done
    for p in mount umount false true login; do ln -s $root/usr/bin/$p $out/bin/; done
    for p in $(cd $root/usr/bin; echo systemd-* systemctl journalctl networkctl resolvectl udevadm loginctl); do ln -s $root/usr/bin/$p $out/bin/; done
    for p in swapon swapoff nologin sulogin fsck agetty; do ln -s $root/usr/sbin/$p $out/sbin/; done
    ln -s /run/wrappers/bin/unix_chkpwd $out/sbin/unix_chkpwd
    # No zoneinfo: nixpkgs has it in /etc, and nspawn looks whether it is in /usr/share.
    ln -s $root/usr/share/dbus-1 $root/usr/share/terminfo $out/share/; ln -s $root/usr/libexec $out/libexec
  ''; debs = [ ]; } ./package.sh;

  perl = deb "perl" {
    debs = [ ];
    extra = ''
      P=$root/usr
      cat > $out/bin/perl <<X
      #!$root/usr/bin/bash
      export PERL5LIB=$P/lib/x86_64-linux-gnu/perl5/5.40:$P/share/perl5:$P/lib/x86_64-linux-gnu/perl-base:$P/lib/x86_64-linux-gnu/perl/5.40:$P/share/perl/5.40
      exec $P/bin/perl "\$@"
      X
      chmod +x $out/bin/perl
    '';
    passthru = { withPackages = _: final.perl; libPrefix = "lib/perl5/site_perl"; };
  };

  # Packages of one Debian package: of the same name; of another; with a program for lib.getExe; of none.
  simple = lib.genAttrs [
    "acl" "attr" "bash-completion" "bzip2" "coreutils" "curl" "diffutils" "findutils" "gzip" "iproute2" "jq" "kmod" "less"
    "logrotate" "man-db" "nano" "procps" "psmisc" "rsync" "strace" "time" "zstd" "file" "fuse3" "sudo"
  ] (name: { debs = [ name ]; })
  // lib.mapAttrs (_: name: { debs = [ name ]; }) { coreutils-full = "coreutils"; iputils = "iputils-ping"; libcap = "libcap2-bin"; xz = "xz-utils"; }
  // lib.mapAttrs (_: main: { inherit main; debs = [ main ]; }) { gnugrep = "grep"; gnupatch = "patch"; gnused = "sed"; gnutar = "tar"; }
  // lib.genAttrs [ "cpio" "e2fsprogs" "mkpasswd" "texinfoInteractive" ] (_: { })
  // {
    gawk = { debs = [ "gawk" ]; extra = "ln -s gawk $out/bin/awk"; main = "awk"; };
    getent = { extra = "b getent"; };
    getconf = { extra = "b getconf"; };
    iptables = { debs = [ "iptables" ]; extra = "for p in iptables ip6tables; do for s in '' -save -restore; do ln -sfn $root/usr/sbin/$p-nft$s $out/bin/$p$s; done; done"; };
    nftables = { debs = [ "nftables" ]; main = "nft"; };
    ncurses.debs = [ "ncurses-bin" "ncurses-base" "ncurses-term" ];
    netcat = { debs = [ "netcat-openbsd" ]; extra = "ln -sfn $root/usr/bin/nc.openbsd $out/bin/nc"; main = "nc"; };
    nettools = { extra = "b hostname"; };
    which = { debs = [ "debianutils" ]; extra = "ln -sfn $root/usr/bin/which.debianutils $out/bin/which"; };
    fuse = { extra = "ln -s $root/usr/bin/fusermount3 $out/bin/fusermount"; };
    tzdata = { extra = "mkdir -p $out/share; ln -s $root/usr/share/zoneinfo $out/share/zoneinfo"; };
    iana-etc = { extra = "mkdir -p $out/etc; ln -s $root/etc/protocols $root/etc/services $out/etc/"; };
    mailcap = { extra = "mkdir -p $out/etc/nginx; ln -s $root/etc/nginx/mime.types $out/etc/nginx/; touch $out/etc/mime.types $out/etc/mailcap"; };
    cacert = { extra = "mkdir -p $out/etc/ssl/certs; cp $root/etc/ssl/certs/ca-certificates.crt $out/etc/ssl/certs/ca-bundle.crt || touch $out/etc/ssl/certs/ca-bundle.crt"; passthru = { unbundled = final.cacert; p11kit = final.cacert; }; };
    openssh = { debs = [ "openssh-server" "openssh-client" "openssh-sftp-server" ]; extra = "mkdir -p $out/libexec; ln -s $root/usr/lib/openssh/sftp-server $out/libexec/sftp-server"; main = "ssh"; };
    shadow = {
      debs = [ "passwd" "login" "uidmap" ];
      extra = ''
        rm -f $out/bin/su; ln -sfn $root/usr/bin/login $out/bin/login; ln -sfn $root/usr/bin/newgrp $out/bin/sg; b su
        for p in newgidmap newuidmap newgrp; do [ -e $out/bin/$p ] || ln -s $root/usr/bin/false $out/bin/$p; done; ln -sfn $root/usr/sbin/nologin $out/bin/nologin'';
      passthru = { su = final.shadow; shellPath = "/bin/nologin"; };
    };
    glibc = { debs = [ "libc-bin" ]; extra = "ln -s $root/usr/bin/true $out/bin/nscd"; passthru = { bin = final.glibc; out = final.glibc; }; };
    pam = { extra = "mkdir -p $out/lib; mkdir $out/lib/security; ln -s $root/usr/lib/x86_64-linux-gnu/security/* $out/lib/security/; ln -s pam_permit.so $out/lib/security/pam_lastlog.so; b unix_chkpwd mkhomedir_helper; mkdir -p $out/etc/security; for f in $root/etc/security/*.conf; do ln -s $f $out/etc/security/; done"; };
    audit = { extra = "mkdir -p $out/lib"; };
    shared-mime-info.extra = "ln -s $root/usr/bin/true $out/bin/update-mime-database";
    desktop-file-utils.extra = "ln -s $root/usr/bin/true $out/bin/update-desktop-database";
    makeInitrdNGTool.extra = "ln -s $root/usr/bin/true $out/bin/make-initrd-ng";
    # NSS needs no daemon here: programs find the modules themselves. The service is there and does nothing.
    nsncd = { extra = ''printf '%s\n' "#!$root/usr/bin/bash" "exec $root/usr/bin/systemd-notify --ready --exec \\; $root/usr/bin/sleep infinity" > $out/bin/nsncd; chmod +x $out/bin/nsncd''; };
    nix = {
      debs = [ "nix-bin" ];
      extra = ''
        mkdir -p $out/lib/systemd/system $out/lib/tmpfiles.d
        printf '%s\n' '[Unit]' 'Description=Nix Daemon' "RequiresMountsFor=/nix/store" 'RequiresMountsFor=/nix/var' 'RequiresMountsFor=/nix/var/nix/db' 'ConditionPathIsReadWrite=/nix/var/nix/daemon-socket' \
          '[Service]' "ExecStart=@$out/bin/nix-daemon nix-daemon --daemon" 'KillMode=process' 'LimitNOFILE=1048576' 'TasksMax=1048576' '[Install]' 'WantedBy=multi-user.target' > $out/lib/systemd/system/nix-daemon.service
        printf '%s\n' '[Unit]' 'Description=Nix Daemon Socket' 'Before=multi-user.target' 'RequiresMountsFor=/nix/store' 'ConditionPathIsReadWrite=/nix/var/nix/daemon-socket' \
          '[Socket]' 'ListenStream=/nix/var/nix/daemon-socket/socket' '[Install]' 'WantedBy=sockets.target' > $out/lib/systemd/system/nix-daemon.socket
        echo 'd /nix/var/nix/daemon-socket 0755 root root - -' > $out/lib/tmpfiles.d/nix-daemon.conf
      '';
    };
    nginxStable = { debs = [ "nginx" ]; extra = "ln -s $root/etc/nginx $out/conf"; passthru = { modules = [ ]; }; main = "nginx"; };
    dbus = {
      debs = [ "dbus-bin" "dbus-daemon" "dbus-system-bus-common" "dbus-session-bus-common" ];
      extra = ''
        mkdir -p $out/libexec $out/lib/systemd/system/{multi-user,sockets,dbus}.target.wants $out/lib/systemd/user
        rm -rf $out/lib/systemd/system/*.wants
        ln -s $root/usr/lib/dbus-1.0/dbus-daemon-launch-helper $out/libexec/
        for s in system user; do for u in dbus.service dbus.socket; do
          [ ! -e $root/usr/lib/systemd/$s/$u ] || sed "s@/usr/bin/@$root/usr/bin/@g" $root/usr/lib/systemd/$s/$u > $out/lib/systemd/$s/$u; done; done
        printf '%s\n' '[Unit]' 'Description=D-Bus User Message Bus Socket' '[Socket]' 'ListenStream=%t/bus' 'ExecStartPost=-/run/current-system/sw/bin/systemctl --user set-environment DBUS_SESSION_BUS_ADDRESS=unix:path=%t/bus' '[Install]' 'WantedBy=sockets.target' > $out/lib/systemd/user/dbus.socket
        printf '%s\n' '[Unit]' 'Description=D-Bus User Message Bus' 'Requires=dbus.socket' '[Service]' 'Type=notify' 'NotifyAccess=main' "ExecStart=$out/bin/dbus-daemon --session --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only" 'Slice=session.slice' > $out/lib/systemd/user/dbus.service
      '';
      main = "dbus-daemon";
    };
    # NixOS's module asks for two builds, and for the version.
    postgresql_17 = { extra = "ln -s $root/usr/lib/postgresql/17/bin/* $out/bin/"; passthru = { version = "17"; psqlSchema = "17"; withPackages = _: final.postgresql_17; } // lib.genAttrs [ "withJIT" "withoutJIT" ] (_: final.postgresql_17); };
    util-linux = { debs = [ "util-linux" "util-linux-extra" "mount" "bsdextrautils" "bsdutils" "login" "fdisk" ]; main = "kill"; extra = "b agetty su sulogin"; passthru = lib.genAttrs [ "mount" "login" "swap" ] (_: final.util-linux) // { withPatches = final.util-linux; }; };
    systemd = {
      debs = [ "systemd" "systemd-container" "systemd-resolved" "systemd-timesyncd" "udev" "systemd-sysv" "libpam-systemd" ];
      extra = ''
        rm -f $out/bin/init; rm -rf $out/lib/systemd
        mkdir -p $out/lib/systemd $out/example/systemd $out/example/tmpfiles.d $out/example/sysctl.d
        for e in $root/usr/lib/systemd/*; do case ''${e##*/} in system|user|system-preset|user-preset|*.conf.d|ntp-units.d) ;; *) ln -s $e $out/lib/systemd/;; esac; done
        cp -a $root/usr/lib/systemd/system $root/usr/lib/systemd/user $out/example/systemd/
        chmod -R u+w $out/example
        find $out/example/systemd -type f | xargs sed -i -E "s@([=!+:-])(/usr)?/lib/systemd/systemd-@\1$out/lib/systemd/systemd-@g; s@^(Exec[A-Za-z]*=[-@+!:]*)(/usr)?/s?bin/@\1$out/bin/@; s@^(Exec[A-Za-z]*=[-+!:]*)([a-z])@\1$out/bin/\2@"
        # Names that programs have in other packages.
        for p in agetty sulogin kmod mount umount swapon swapoff fsck; do [ -e $out/bin/$p ] || b $p; done
        mkdir -p $out/example/systemd/system/{sysinit,sockets,local-fs,multi-user,timers}.target.wants
        # Units that nixpkgs' systemd has and Debian's packages leave out or hide behind /dev/null.
        for u in systemd-bootctl.socket systemd-bootctl@.service systemd-coredump.socket systemd-coredump@.service systemd-oomd.service systemd-oomd.socket systemd-vconsole-setup.service; do
          [ -e $out/example/systemd/system/$u ] || ln -s /dev/null $out/example/systemd/system/$u
        done
        for d in tmpfiles.d sysctl.d; do for f in $root/usr/lib/$d/*; do ln -s $f $out/example/$d/; done; done
        for f in 50-coredump 50-default 50-pid-max; do [ -e $out/example/sysctl.d/$f.conf ] || touch $out/example/sysctl.d/$f.conf; done
        for f in home journal-nocow portables static-nodes-permissions systemd systemd-nologin systemd-nspawn systemd-tmp tmp var x11; do
          [ -e $out/example/tmpfiles.d/$f.conf ] || { echo "no tmpfiles.d/$f.conf" >&2; echo "# not in Debian" > $out/example/tmpfiles.d/$f.conf; }
        done
        ln -sfn $root/usr/lib/udev $out/lib/udev
      '';
      passthru = { util-linux = final.util-linux; kmod = final.kmod; kbd = prev.systemd.kbd; interfaceVersion = 2;
        withCoredump = false; withHomed = false; withPortabled = true; withImportd = true; withBootloader = false; withTimesyncd = true; withCryptsetup = false; withOomd = false; withUtmp = false; };
      main = "systemctl";
    };
  };
  sw = lib.mapAttrs deb simple;
in
sw // {
  inherit perl;
  debianRoot = root;
  debianUsr = usr;
  bash = deb "bash" { debs = [ "bash" ]; extra = "ln -s bash $out/bin/sh"; passthru.shellPath = "/bin/bash"; };
  bashInteractive = final.bash;
  runtimeShell = bash;
  runtimeShellPackage = final.bash;
  bashNonInteractive = final.bash;
  util-linuxMinimal = final.util-linux;
  linux-pam = final.pam;
  openssh_hpn = final.openssh;
  nginx = final.nginxStable; nginxMainline = final.nginxStable;
  nixStable = final.nix; nixVersions = lib.genAttrs [ "stable" "latest" ] (_: final.nix);
  glibcLocales = prev.glibcLocales // { override = _: deb "glibc-locales" { extra = "mkdir -p $out/lib/locale; ln -s $root/usr/lib/locale/locale-archive $out/lib/locale/"; }; };
  unixtools = prev.unixtools // { xxd = deb "xxd" { old = prev.unixtools.xxd; extra = ''
    printf '%s\n' "#!$root/usr/bin/bash" '# Knows "xxd -i -n NAME" only.' "exec ${final.perl}/bin/perl -0777 -e '\$_ = <STDIN>; print \"unsigned char \$ARGV[2]\[] = {\", join(\",\", unpack(\"C*\", \$_)), \"};\\nunsigned int \$ARGV[2]_len = \", length, \";\\n\"' -- \"\$@\"" > $out/bin/xxd; chmod +x $out/bin/xxd''; }; };
  xorg = prev.xorg // { lndir = deb "lndir" { old = prev.xorg.lndir; extra = ''
    { echo "#!$root/usr/bin/bash"; echo '(cd "$1" && find -L . -mindepth 1 -type d) | while read -r d; do mkdir -p "''${2:-.}/$d"; done; (cd "$1" && find . -mindepth 1 ! -type d) | while read -r f; do [ -e "''${2:-.}/$f" ] || ln -s "$1/$f" "''${2:-.}/$f"; done'; } > $out/bin/lndir; chmod +x $out/bin/lndir''; }; };
  stdenv = prev.stdenv // { mkDerivation = makeDrv; cc = prev.stdenv.cc // { libc = final.glibc; }; shell = bash; shellPackage = final.bash; };
  stdenvNoCC = final.stdenv;
  runCommand = run; runCommandLocal = run; runCommandCC = run; runCommandNoCC = run;
  # Of glibc's sources NixOS's setuid wrapper reads which variables ld.so does not trust (ld.so(8)).
  srcOnly = p: final.runCommand "${p.name}-source" { } ''
    mkdir -p $out/sysdeps/generic
    v=$(printf '%s\\0' GCONV_PATH GETCONF_DIR HOSTALIASES LD_{AUDIT,DEBUG,DEBUG_OUTPUT,DYNAMIC_WEAK,HWCAP_MASK,LIBRARY_PATH,ORIGIN_PATH,PRELOAD,PROFILE,SHOW_AUXV,USE_LOAD_BIAS} \
      LOCALDOMAIN LOCPATH MALLOC_TRACE NIS_PATH NLSPATH RESOLV_HOST_CONF RES_OPTIONS TMPDIR TZDIR)
    echo "#define UNSECURE_ENVVARS \"$v\"" > $out/sysdeps/generic/unsecvars.h; cp $out/sysdeps/generic/unsecvars.h $out/
  '';
  writeShellScript = n: text: prev.writeScript n "#!${bash}\n${text}";
  writeShellScriptBin = n: text: prev.writeScriptBin n "#!${bash}\n${text}";
  writeShellApplication = { name, text, runtimeInputs ? [ ], ... }: prev.writeScriptBin name "#!${bash}\nexport PATH=\"${lib.makeBinPath runtimeInputs}:$PATH\"\n${text}";
  buildEnv = { name, paths, pathsToLink ? [ "/" ], postBuild ? "", passthru ? { }, ... }:
    dress { pname = name; } (raw name { paths = lib.filter (p: p != null) (lib.flatten [ paths ]); inherit pathsToLink postBuild; } ./join.sh) { inherit passthru; };
  linkFarm = name: entries:
    let list = if lib.isAttrs entries then lib.mapAttrsToList (name: path: { inherit name path; }) entries else entries;
    in run name { } ("mkdir -p $out\ncd $out\n" + lib.concatMapStrings (e: "mkdir -p ${lib.escapeShellArg (dirOf e.name)}\nln -s ${lib.escapeShellArg "${e.path}"} ${lib.escapeShellArg e.name}\n") list);
  concatText = n: files: run n { inherit files; } "cat $files > $out";
  substituteAll = { src, name ? baseNameOf (toString src), isExecutable ? false, dir ? "", postInstall ? "", ... }@a:
    subst name src (removeAttrs a [ "src" ]) { inherit isExecutable dir postInstall; };
  substitute = a: subst (a.name or "x") a.src { } { };
  replaceVars = src: v: subst (baseNameOf (toString src)) src v { };
  replaceVarsWith = { src, replacements ? { }, name ? baseNameOf (toString src), isExecutable ? false, dir ? "", postInstall ? "", ... }: subst name src replacements { inherit isExecutable dir postInstall; };
  makeDBusConf = { suidHelper, serviceDirectories, apparmor ? "disabled", ... }: run "dbus-1" { inherit suidHelper serviceDirectories; } ''
    mkdir -p $out
    for bus in system session; do
      sed -E '/<(standard_)?(system|session)_servicedirs\/>/d; /<include/d; /<servicehelper>/d; /<standard_/d; /<\/busconfig>/d; /<servicedir>/d' $root/usr/share/dbus-1/$bus.conf > $out/$bus.conf
      {
        [ $bus = session ] || echo "<servicehelper>$suidHelper</servicehelper>"
        for d in $serviceDirectories; do
          if [ $bus = system ]; then echo "<servicedir>$d/share/dbus-1/system-services</servicedir>"; else echo "<servicedir>$d/share/dbus-1/services</servicedir>"; fi
          echo "<includedir>$d/etc/dbus-1/$bus.d</includedir><includedir>$d/share/dbus-1/$bus.d</includedir>"
        done
        echo '</busconfig>'
      } >> $out/$bus.conf
    done
  '';
}
