"""Every error cartridge-warp explains to a person, and the exit codes they end a command with.

What is not a `WarpError` is a defect. The command line (`warp.cli.main`) turns these into one line on stderr and an
exit code; nothing here prints. Messages must be free of secrets: see `warp.config.redact`.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """How a `cartridge-warp` command ends; the only place these numbers are named."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    DIFFERENT = 3
    UNREACHABLE = 4

    @property
    def meaning(self) -> str:
        """What the code says, as `--help` shows it."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "wrong usage or configuration",
    ExitCode.DIFFERENT: "differences found between source and target",
    ExitCode.UNREACHABLE: "a server cannot be reached",
}


class WarpError(Exception):
    """Something cartridge-warp can explain."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str | None = None, *, remedy: str | None = None) -> None:
        """Without a message, the first line of the class's docstring is the message."""
        self.message = message or (type(self).__doc__ or type(self).__name__).strip().splitlines()[0]
        self.remedy = remedy
        super().__init__(self.message)


class ConfigurationError(WarpError):
    """The configuration cannot be used."""

    exit_code = ExitCode.USAGE

    def __init__(self, message: str | None = None, *, problems: Sequence[str] = (), remedy: str | None = None) -> None:
        """`problems` are complete lines, one for each thing that is wrong: where, what was found, what is allowed."""
        super().__init__(message, remedy=remedy)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {problem}" for problem in self.problems)])


class ServerUnreachable(WarpError):
    """A server cannot be reached."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, server: str, where: str, reason: str, *, remedy: str | None = None) -> None:
        """`server` is its name ("MongoDB"), `where` its host and port without credentials, `reason` the driver's."""
        self.server = server
        self.where = where
        self.reason = " ".join(reason.split())
        super().__init__(f"{server} at {where} cannot be reached: {self.reason}", remedy=remedy)


class DifferencesFound(WarpError):
    """Source and target differ."""

    exit_code = ExitCode.DIFFERENT


class EmbeddedUnavailable(WarpError):
    """An embedded server cannot be started on this machine."""


class StreamLost(WarpError):
    """The source no longer has the changes after the saved position."""


class StreamInvalid(WarpError):
    """The source refuses the saved position, or ended the change stream."""


class UpdatesLost(WarpError):
    """The source dropped the table before the documents of some updates could be looked up."""


class NotMirrored(WarpError):
    """The source holds something of which it does not tell what changes."""


class Transient(WarpError):
    """The server cannot do this now; the same attempt later can succeed. Nothing was changed."""


class Poison(WarpError):
    """This change can never be applied, whatever is tried; others can."""


class Fatal(WarpError):
    """Nothing will go on here until a person changes something; the remedy says what."""


class Refused(Fatal):
    """A server does not let us in until a person changes something: whatever needs it stands still."""
