"""CPU time and peak memory of processes, as the kernel counts them: proc_pid_stat(5), proc_pid_status(5)."""

from __future__ import annotations

import os
import re
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PPID, _UTIME, _STIME, _CUTIME, _CSTIME = 1, 11, 12, 13, 14
"""Fields of `stat`, counted from the one after the command's name."""


def cpu_seconds(pid: int) -> float:
    """Seconds, user and system, that a process has used; 0 for one that is gone. Counted in ticks of 10 ms."""
    stat = _stat(Path(f"/proc/{pid}"))
    return (stat[_UTIME] + stat[_STIME]) / _TICKS_PER_SECOND if stat else 0.0


def family_cpu_seconds(pid: int) -> float:
    """The same of a process and of all its children, those that have ended included."""
    stat = _stat(Path(f"/proc/{pid}"))
    if not stat:
        return 0.0
    children = (each for entry in Path("/proc").glob("[0-9]*") if (each := _stat(entry)) and each[_PPID] == pid)
    ticks = sum(stat[_UTIME : _CSTIME + 1]) + sum(child[_UTIME] + child[_STIME] for child in children)
    return ticks / _TICKS_PER_SECOND


def machine_cpu_seconds() -> float:
    """The same of everything that runs on this machine, without waiting for disks: proc_stat(5)."""
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq) / _TICKS_PER_SECOND


def peak_memory(pid: int) -> int:
    """The most bytes of memory that a process has had resident (VmHWM); 0 for one that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _stat(process: Path) -> list[int]:
    """The numbers of a process's `stat`, its state as 0; empty if it is gone."""
    try:
        text = (process / "stat").read_text()
    except OSError:
        return []
    # The command's name may hold anything, parentheses and spaces included.
    return [0, *map(int, text.rpartition(")")[2].split()[1:])]
