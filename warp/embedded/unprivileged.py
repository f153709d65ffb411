"""What it takes to run PostgreSQL, which refuses to run as root, when we are root: a user, and files it can reach.

Makes no user: `nobody` is one everywhere.
"""

import os
import pwd
import stat
import tempfile
from pathlib import Path

from warp.errors import EmbeddedUnavailable

_USER = "nobody"


def user_to_run_as() -> str | None:
    """The name of the user to become, None if we are not root and can stay who we are."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        raise EmbeddedUnavailable(
            f"PostgreSQL does not run as root, and there is no user {_USER} to run it as",
            remedy="run cartridge-warp as another user than root",
        ) from None
    return _USER


def give_to(user: str, directory: Path) -> None:
    """Make `user` the owner of `directory` and of all that it contains."""
    account = pwd.getpwnam(user)
    for path in [directory, *directory.rglob("*")]:
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def reachable(path: Path) -> bool:
    """Whether every user can run or search `path`, going by the permissions of it and all its parents."""
    return not _closed(path.resolve())


def let_through(directory: Path) -> None:
    """Let every user search, not list, `directory` and those of its parents that lie in the temporary directory.

    Raises EmbeddedUnavailable if another parent bars the way, since its permissions are not ours to change.
    """
    temporary = Path(tempfile.gettempdir()).resolve()
    for path in _closed(directory.resolve()):
        if not path.is_relative_to(temporary):
            raise EmbeddedUnavailable(
                f"PostgreSQL does not run as root, and the user {_USER} cannot reach {directory}: see {path}",
                remedy="choose a directory that every user can reach (TMPDIR), or run as another user than root",
            )
        path.chmod(path.stat().st_mode | stat.S_IXOTH)


def _closed(path: Path) -> list[Path]:
    return [step for step in [path, *path.parents] if not step.stat().st_mode & stat.S_IXOTH]
