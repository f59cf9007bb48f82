# What NixOS's `containers.<name>` calls an option: for the reference (options-doc.nix). from-containers.nix translates them.
{
  "activation.autoStart" = "autoStart";
  "activation.strategy" = "restartIfChanged";
  bindMounts = "bindMounts";
  bridge = "hostBridge";
  "capabilities.add" = "additionalCapabilities";
  containerNetworkConfig = "localAddress";
  devices = "allowedDevices";
  ephemeral = "ephemeral";
  extraVeths = "extraVeths";
  forwardPorts = "forwardPorts";
  hostNetworkConfig = "hostAddress";
  interfaces = "interfaces";
  macvlan = "macvlans";
  namespacePath = "networkNamespace";
  network = "privateNetwork";
  "nspawnConfig.Exec" = "extraFlags";
  timeoutStartSec = "timeoutStartSec";
  tmpfs = "tmpfs";
  tun = "enableTun";
  userNamespacing = "privateUsers";
}
