# `hardening = "strict"` with what servers run: nginx and sshd of web.nix, and PostgreSQL.
{ pkgs, ... }:
{
  imports = [ ./web.nix ];
  nixosContainer.hardening = "strict";
  nixosContainer.bindMounts = [ "/srv/kit-strict" ];
  services.postgresql = {
    enable = true;
    package = pkgs.postgresql_17;
    # Debian's has no time zones here, and its JIT compiler is left out.
    settings = { timezone = "GMT"; log_timezone = "GMT"; jit = false; };
    initdbArgs = [ "--locale=C" "--encoding=UTF8" ];
    checkConfig = false;
  };
  services.openssh.settings.PasswordAuthentication = false;
}
