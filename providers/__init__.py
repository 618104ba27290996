"""Providers: places that speak a dialect."""
