"""What the editor fills into a file name prefix: `%date:yyyy-MM-dd%` and `%Load Image.image%`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

_PLACE = re.compile(r"%([^%]+)%")
_DATE = re.compile(r"d{1,2}|M{1,2}|yyyy|yy?|h{1,2}|m{1,2}|s{1,2}")
_NOT_IN_NAMES = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')


def replace_text(text: str, value_of: Callable[[str, str], Any]) -> str:
    """``text`` with dates and the values of other nodes' widgets filled in.

    ``value_of(node, widget)`` gives such a value, None where there is none; what cannot be filled
    in stays as it is.
    """

    def fill(found: re.Match) -> str:
        node, dot, widget = found[1].partition(".")
        if not dot or "." in widget:
            is_date = node.startswith("date:")
            return _date(found[1].split(".")[0][5:]) if is_date else found[0]
        value = value_of(node, widget)
        return found[0] if value is None else _NOT_IN_NAMES.sub("_", str(value))

    return _PLACE.sub(fill, text)


def _date(pattern: str) -> str:
    now = time.localtime()
    values = {
        "d": now.tm_mday,
        "M": now.tm_mon,
        "h": now.tm_hour,
        "m": now.tm_min,
        "s": now.tm_sec,
    }

    def fill(found: re.Match) -> str:
        part = found[0]
        if part[0] == "y":
            return str(now.tm_year)[-2:] if part == "yy" else str(now.tm_year)
        return f"{values[part[0]]:0{len(part)}}"

    return _DATE.sub(fill, pattern)
