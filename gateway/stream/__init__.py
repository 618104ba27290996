"""Bytes that pass by: framing without I/O."""
