"""A complete package of plugins for Tollgate, to copy from."""
