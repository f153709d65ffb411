"""Keeping credentials out of everything that is shown: one function for connection strings, one for running text.

What is hidden is hidden generously: where a password may end is ambiguous, its neighbours go with it.
"""

import re

HIDDEN = "***"

# One or several of host, host:port, [IPv6 address]:port, as in the authority of a URL.
_HOST = r"(?:\[[\w.:%]+\]|[^\s/?#@:,\[\]]*)(?::\d+)?"
HOSTS = rf"{_HOST}(?:,{_HOST})*"

# libpq's keyword/value pairs: PostgreSQL documentation, section "Connection Strings".
_LIBPQ_VALUE = r"(?:'(?:\\.|[^'\\])*'|(?:\\.|[^\s\\'])*)"
_SERVER_KEYWORD = r"(?:host|hostaddr|port|dbname|service)\s*="
LIBPQ_PAIRS = re.compile(rf"\s*(?:\w+\s*=\s*{_LIBPQ_VALUE}(?:\s+|$))+", re.DOTALL)

_SECRET_KEYWORD = r"((?:password|passwd|pwd|secret)\s*=\s*)"
_SCHEME = re.compile(r"[a-z][\w+.-]*://", re.IGNORECASE)
# A password may hold "@", "/" or "?" unescaped, so only the last "@" surely stands after it.
_URL_USERINFO = re.compile(r"(?<=://).*@", re.DOTALL)
_URL_WITH_PLAIN_HOSTS = re.compile(rf"[\w+.-]+://{HOSTS}(?=[/?]|$)")
_URL_PARAMETER = re.compile(_SECRET_KEYWORD + r"[^&]*", re.IGNORECASE)
_LIBPQ_OF_SERVER = re.compile(rf"(?:^|\s){_SERVER_KEYWORD}")
_LIBPQ_OTHER = re.compile(rf"\b(?!{_SERVER_KEYWORD})(\w+\s*=\s*){_LIBPQ_VALUE}", re.DOTALL)
_TEXT_USERINFO = re.compile(r"(?<=://)\S*@")
_TEXT_KEYWORD = re.compile(_SECRET_KEYWORD + r"('(?:\\.|[^'\\])*'?|(?:\\.|\S)+)", re.IGNORECASE | re.DOTALL)
_AWS_SESSION_TOKEN = re.compile(r"(AWS_SESSION_TOKEN:)[^\s&,]+", re.IGNORECASE)


def redact(dsn: str) -> str:
    """A connection string without its credentials: what is left says which server and database it means.

    A string that is neither a URL nor libpq's `key=value` pairs is hidden whole: it may be a password that was put
    into the wrong place.
    """
    if scheme := _SCHEME.match(dsn):
        if "@" in dsn:
            dsn = _URL_USERINFO.sub(f"{HIDDEN}@", dsn)
        elif not _URL_WITH_PLAIN_HOSTS.match(dsn):
            return f"{scheme[0]}{HIDDEN}"
        return _AWS_SESSION_TOKEN.sub(rf"\1{HIDDEN}", _URL_PARAMETER.sub(rf"\1{HIDDEN}", dsn))
    if LIBPQ_PAIRS.fullmatch(dsn) and _LIBPQ_OF_SERVER.search(dsn):
        return _LIBPQ_OTHER.sub(rf"\1{HIDDEN}", dsn)
    return HIDDEN


def redact_text(text: str) -> str:
    """Any text, with the credentials of every connection string in it hidden and all else left as it is."""
    text = _TEXT_USERINFO.sub(f"{HIDDEN}@", text)
    return _AWS_SESSION_TOKEN.sub(rf"\1{HIDDEN}", _TEXT_KEYWORD.sub(rf"\1{HIDDEN}", text))
