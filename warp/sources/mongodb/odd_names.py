"""Collections whose names are not UTF-8: MongoDB holds them, but its change streams leave them out without a word.

They do so for a whole database (6.0: a regular expression chooses the events, and matches no such name), so that they
cannot be mirrored. Only a rename from or to such a name is in the stream.
"""

from __future__ import annotations

from warp.errors import NotMirrored

_PREFIX = "$utf8:"
"""What no collection's name begins with: MongoDB takes no dollar there."""


def is_utf8(name: str) -> bool:
    """Whether a decoded name has no lone surrogates, which stand for bytes that are not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(name: str) -> str:
    """A name as text that can be stored and printed, and is no other collection's."""
    return name if is_utf8(name) else _PREFIX + name.encode("utf-8", "surrogateescape").hex()


def not_utf8(name: str) -> NotMirrored:
    """What to say of a collection of such a name."""
    readable = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return NotMirrored(
        f'the name of the collection "{readable}" is not UTF-8: MongoDB leaves it out of its change streams, '
        "so that it is not mirrored",
        remedy="rename it (renameCollection, with a driver that sends names as bytes), or exclude it: "
        f"exclude_tables: ['{shown(name)}']",
    )
