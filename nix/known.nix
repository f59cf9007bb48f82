# The names that the rules of nixos-nspawn's programs know: capabilities, the settings of a .nspawn file by section, and the
# settings of [Service] that are refused. known.json is made from units/src by the test known_names_are_current.
builtins.fromJSON (builtins.readFile ./known.json)
