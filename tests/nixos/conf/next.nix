# What newer releases do by default: systemd in the initrd, which a container has not, and users made by systemd.
{
  imports = [ ./web.nix ];
  boot.initrd.systemd.enable = true;
  systemd.sysusers.enable = true;
}
