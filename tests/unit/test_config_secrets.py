"""Nothing of a credential is left, and the server is still told."""

import pytest

from warp.config import redact, redact_text


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("mongodb://localhost:27017", "mongodb://localhost:27017"),
        ("mongodb://user:secret@a:27017,b:27017/db?replicaSet=rs0", "mongodb://***@a:27017,b:27017/db?replicaSet=rs0"),
        ("mongodb+srv://user@cluster.example", "mongodb+srv://***@cluster.example"),
        ("mongodb://u:s@cr/e?t@host", "mongodb://***@host"),
        ("mongodb://u:sec ret@host", "mongodb://***@host"),
        ("mongodb://user:secret", "mongodb://***"),
        (
            "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:secret&w=1",
            "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:***&w=1",
        ),
        ("mongodb://h/?tlsCertificateKeyFilePassword=secret&w=1", "mongodb://h/?tlsCertificateKeyFilePassword=***&w=1"),
        ("postgresql://[::1]:5432/db", "postgresql://[::1]:5432/db"),
        ("postgresql://h/db?user=u&password=s'e cret", "postgresql://h/db?user=u&password=***"),
        ("redis://:secret@cache:6379/0", "redis://***@cache:6379/0"),
        ("unix://:secret@/run/redis.sock", "unix://***@/run/redis.sock"),
        ("host=h password=secret dbname=d", "host=h password=*** dbname=d"),
        ("host=h password = 'se cr\\'et' dbname=d", "host=h password = *** dbname=d"),
        ("user=u password=s@cr&et host=h port=5432", "user=*** password=*** host=h port=5432"),
        ("host=h password=se cret=x", "host=h password=*** cret=***"),
        ("host=h password=se cret", "***"),
        ("secret", "***"),
        ("c2VjcmV0==", "***"),
        ("user:secret@host", "***"),
        ("secret mongodb://host", "***"),
        ("", "***"),
    ],
)
def test_a_connection_string(dsn: str, shown: str) -> None:
    assert redact(dsn) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing to hide: a@b, 3 = 4", "nothing to hide: a@b, 3 = 4"),
        ("connecting to redis://:secret@h:6379/0 now", "connecting to redis://***@h:6379/0 now"),
        ("from mongodb://u:secret@a to postgres://u:s@cret@b", "from mongodb://***@a to postgres://***@b"),
        ("tried host=h password='se cret' port=1", "tried host=h password=*** port=1"),
    ],
)
def test_running_text(text: str, shown: str) -> None:
    assert redact_text(text) == shown
