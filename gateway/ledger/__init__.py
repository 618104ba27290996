"""Money and pace."""
