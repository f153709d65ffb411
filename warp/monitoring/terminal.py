"""Texts that anybody may have made up, such as keys, names and messages with them, for a terminal."""

import json

MOST_LETTERS = 200


def visible(text: str, most: int = MOST_LETTERS) -> str:
    """The head of a text for one line, in JSON form where it holds what is no printable character."""
    shown = text if text.isprintable() else json.dumps(text)
    return shown if len(shown) <= most else f"{shown[:most]}…"


def escaped(text: str) -> str:
    """All of a message, in its lines; what else is no printable character as JSON escapes it."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1] for letter in text)
