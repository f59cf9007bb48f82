# A unit that its start waits for takes longer than that may take.
{
  imports = [ ./web.nix ];
  nixosContainer.timeoutStartSec = "12s";
  systemd.services.dawdling = { wantedBy = [ "multi-user.target" ]; serviceConfig.Type = "oneshot"; script = "sleep 600"; };
}
