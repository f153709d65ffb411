"""A script that becomes a child process: `python -I -S launch.py PARENT_PID DEATH_SIGNAL USER COMMAND…`.

Makes the kernel send DEATH_SIGNAL to it when its parent is gone, `kill -9` included, and drops root for USER
("-": as is). A program of its own because code between fork and exec is not safe in a parent that has threads.
"""

import ctypes
import os
import pwd
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _become(parent: int, death_signal: int, user: str, command: list[str]) -> None:
    if user != "-":
        account = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    # Only now: a change of user clears the signal (prctl(2)).
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    # The parent may have died before the signal was asked for.
    if os.getppid() != parent:
        sys.exit("the parent process is gone")
    os.execv(command[0], command)


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
