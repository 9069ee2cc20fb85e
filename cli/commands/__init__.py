"""The commands of `penstock`, a module each."""
