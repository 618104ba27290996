"""Classifiers: they name the task of a call and keep nothing of it."""
