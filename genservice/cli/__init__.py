"""The command line; wiring of the other packages lives here."""
