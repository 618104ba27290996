"""Tollgate, a self-hosted LLM gateway: it sees everything, keeps nothing, and counts every cent."""

import os as _os

__version__ = "0.1.0"

# In an installed package `providers`, `routers` and `store` lie inside this one (see package_dir in
# setup.cfg). In a bare checkout they lie beside it, so the checkout's root joins the search path.
_root = _os.path.dirname(_os.path.dirname(_os.path.abspath(__file__)))
if _os.path.isfile(_os.path.join(_root, "setup.cfg")):
    __path__.append(_root)
