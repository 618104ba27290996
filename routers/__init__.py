"""Routing policies: pure functions of labels, prices and health."""
