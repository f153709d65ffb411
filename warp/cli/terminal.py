"""Texts that anybody may have made up, such as keys and names, for one line of a terminal."""

import json

MOST_LETTERS = 200


def visible(text: str, most: int = MOST_LETTERS) -> str:
    """The head of a text, in JSON form where it holds what is no printable character."""
    shown = text if text.isprintable() else json.dumps(text)
    return shown if len(shown) <= most else f"{shown[:most]}…"
