"""Stores of metadata. All SQL of the project is in here."""
