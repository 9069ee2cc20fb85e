"""Files and objects from outside: written whole, and looked at before they are used."""
