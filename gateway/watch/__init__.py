"""Observers: they see Records and nothing else."""
