"""What every room uses and no room owns: files, errors, locks, packages that may be missing."""
