"""How many threads a kernel computes with: one fewer than there are cores, so that twins can run side by side.

PyTorch's threads wait busily for each other. Where two kernels have a thread on every core, each waits for cores that the other's
waiting keeps busy, and both take more than twice as long.
"""
import os
import pathlib

QUOTA = pathlib.Path("/sys/fs/cgroup/cpu.max")
"""Where Linux tells a container how much of its cores it may use, as "200000 100000" (two cores) or "max 100000" (all)."""


def cores():
    """How many cores this process may use: those of its affinity mask, or fewer where its container has a quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = QUOTA.read_text(encoding="ascii").split()
        return max(1, min(count, int(quota) // int(period)))
    except (OSError, ValueError):  # another system, or no quota
        return count


def threads():
    """How many threads a framework gets: what OMP_NUM_THREADS says, else one fewer than there are cores, and at least one."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() and int(wanted) else max(1, cores() - 1)
