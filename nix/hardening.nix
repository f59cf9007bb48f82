# `hardening = "strict"`: defaults of other options, each of which a definition replaces. That bind mounts are read-only is in
# data.nix, since it is a default of each. docs/hardening.md has the reasons, and what stops working.
{ config, lib, ... }:
let
  cfg = config.nixosContainer;
  inherit (lib) mkDefault mkIf;

  asked = capability: builtins.elem capability cfg.capabilities.add;

  # Capabilities that nspawn leaves to every container, and that servers hardly need.
  capabilities = [
    "CAP_AUDIT_CONTROL"
    "CAP_AUDIT_WRITE"
    "CAP_DAC_READ_SEARCH"
    "CAP_IPC_OWNER"
    "CAP_LEASE"
    "CAP_LINUX_IMMUTABLE"
    "CAP_MKNOD"
    "CAP_SYS_NICE"
    "CAP_SYS_PTRACE"
    "CAP_SYS_RESOURCE"
    "CAP_SYS_TTY_CONFIG"
  ];

  # System calls that nspawn allows, without which programs do, and with a history of faults in the kernel.
  systemCalls = [
    "io_uring_enter"
    "io_uring_register"
    "io_uring_setup"
    "kcmp"
    "open_by_handle_at"
    "userfaultfd"
  ];
in
{
  _file = ./hardening.nix;

  config.nixosContainer = mkIf (cfg.hardening == "strict") {
    # One that is asked for is not dropped.
    capabilities.drop = mkIf (!asked "all") (
      mkDefault (builtins.filter (capability: !asked capability) capabilities)
    );
    systemCallFilter = mkDefault "~${lib.concatStringsSep " " systemCalls}";
    nspawnConfig.Exec.NoNewPrivileges = mkDefault true;
    memoryMax = mkDefault "50%";
    tasksMax = mkDefault 4096;
  };
}
