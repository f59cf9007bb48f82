# A system that cannot be switched to while another runs.
{ imports = [ ./page2.nix ]; system.switch.enable = false; }
