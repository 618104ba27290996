"""aiohttp, made fast and strict."""
