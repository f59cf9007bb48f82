# Without a user namespace.
{
  imports = [ ./web.nix ];
  nixosContainer = { userNamespacing = false; mountDaemonSocket = true; };
}
