# Names of options in NixOS's `containers.<name>`, for the reference (options-doc.nix). from-containers.nix translates them.
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
