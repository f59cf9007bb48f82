{ imports = [ ./plain.nix ]; environment.etc.hello.text = "2"; }
