"""Text of strangers, made fit for a terminal."""

from __future__ import annotations


def harmless(text: object, limit: int = 2000) -> str:
    """`text` with all that a terminal would obey written out, and cut in its middle at `limit`.

    Line feeds stay. Control characters, marks that turn the direction of writing, and half
    characters become escapes such as `\\x1b`. What is harmless already comes back as it is.
    """
    text = str(text)
    if len(text) > limit:  # before the escapes: a message may be megabytes long
        half = max(limit - 5, 0) // 2
        text = f"{text[: limit - 5 - half]} ... {text[len(text) - half :]}"
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )
