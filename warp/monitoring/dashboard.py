"""rq dashboard inside our web process: over our Redis client, with our serializer, and mended where it is unsafe.

Its `web` module holds its serializer and its connections as globals, which is where they must be set (rq-dashboard
0.9, `rq_dashboard/cli.py`).
"""

from __future__ import annotations

import re
from typing import Any

import redis
from flask import Flask, Response
from rq.serializers import JSONSerializer
from rq_dashboard import web

URL_PREFIX = "/rq"
STATIC = web.blueprint.static_folder
"""Its pages take their icon from the application's static files."""

# Its pages are Underscore templates, filled by the browser. `<%=` puts a value there as it is, and the name of a
# collection may be HTML; `<%-` escapes.
_ESCAPED_BY_HAND = re.compile(rb"<%= \$\('<div/>'\)\.text\(([\w.]+)\)\.html\(\) %>")
_UNESCAPED = b"<%="


def mount(app: Flask, client: redis.Redis, shown_address: str) -> None:
    """Serve rq dashboard under URL_PREFIX; `shown_address` stands in its header, and must hold no credentials."""

    def our_client(*_: Any, **__: Any) -> tuple[None, redis.Redis]:
        return None, client

    # It would open a connection for each request, by a URL that it shows in its header as well.
    web.from_url = our_client
    web.config.serializer = JSONSerializer
    app.config["RQ_DASHBOARD_REDIS_URL"] = (shown_address,)
    web.setup_rq_connection(app)
    # Flask escapes in .html alone, and its scripts hold the name of a queue, which may come from a link.
    app.jinja_env.autoescape = True
    app.register_blueprint(web.blueprint, url_prefix=URL_PREFIX)
    app.after_request(_escape)


def _escape(response: Response) -> Response:
    """Have every value in a page's templates escaped, once."""
    if response.mimetype == "text/html" and not response.direct_passthrough:
        page = _ESCAPED_BY_HAND.sub(rb"<%- \1 %>", response.get_data())
        response.set_data(page.replace(_UNESCAPED, b"<%-"))
    return response
