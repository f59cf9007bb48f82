# A part of the activation fails.
{ imports = [ ./page2.nix ]; system.activationScripts.bad = "echo 'this part fails'; false"; }
