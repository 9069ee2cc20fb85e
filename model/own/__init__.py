"""Networks of the caller's: any traceable module, trained like those of the zoo."""
