"""Reads multipart forms, as far as echo needs them."""

import re
from typing import Any

_boundary = re.compile(r'boundary="?([^";,]{1,70})').search
_name = re.compile(rb'\bname="([^"]{0,100})"').search
_file = re.compile(rb'\bfilename="').search


def fields(body: bytes, content_type: str) -> dict[str, Any]:
    """The fields by name: a text, {"size": bytes} for a file, or a list of them where a name repeats.

    Raises:
        ValueError: it is no form.
    """
    found = _boundary(content_type)
    if found is None:
        raise ValueError("no boundary")
    mark = b"--" + found[1].encode("latin-1", "replace")
    tree: dict[str, Any] = {}
    for part in (b"\r\n" + body).split(b"\r\n" + mark)[1:]:
        head, gap, data = part.partition(b"\r\n\r\n")
        name = _name(head)
        if not gap or name is None:
            continue
        key = name[1].decode("utf-8", "replace")
        value = {"size": len(data)} if _file(head) else data.decode("utf-8", "replace")
        if key in tree:
            held = tree[key]
            tree[key] = [*held, value] if isinstance(held, list) else [held, value]
        else:
            tree[key] = value
    return tree
