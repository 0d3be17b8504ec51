"""Runs one program that a model wrote, with the limits that the kernel offers. A script of its own, and of nothing but
Python's library: ``python -I confined.py confine|probe|run LIMITS``. `sandbox` starts it and says what it is for.

``confine`` takes what it can from itself (network, files, processes, memory, time) and becomes ``run``, so that nothing
of it is left but its limits; ``run`` reads ``{"word": …, "program": …}`` and writes the word when the program has ended.
"""

import ctypes
import json
import os
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_NOBODY = 65534
_MIB = 2**20

# Landlock (linux/landlock.h): the three calls, and the accesses of each version of it.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH, _GET_VERSION = 1, 1
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_WRITE_FILE = 1 << 1
_FILE_ACCESSES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}  # 5 and above: one more
_TCP = 0b11  # bind and connect; since version 4
_SCOPES = 0b11  # abstract sockets and signals; since version 6

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    what, limits = sys.argv[1], json.loads(sys.argv[2])
    if what == "run":
        _run(limits)
        return
    got = _confine(limits)
    if what == "probe":
        print(json.dumps(got))  # noqa: T201
        return
    os.execv(sys.executable, [sys.executable, "-I", __file__, "run", sys.argv[2]])


def _run(limits: dict[str, float]) -> None:
    """Time counts from here: that of the processor, since a busy machine is no fault of the program."""
    seconds = int(limits["seconds"])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    asked = json.load(sys.stdin)
    told = os.dup(1)
    sys.stdin = sys.stdout = sys.stderr = open(os.devnull, "r+")  # noqa: PTH123, SIM115
    for descriptor in (0, 1, 2):
        os.dup2(sys.stdin.fileno(), descriptor)
    try:
        exec(asked["program"], {})
    except BaseException:  # also what the program raises to leave: it has not come to its end
        os._exit(1)
    os.write(told, asked["word"].encode())
    os._exit(0)


def _confine(limits: dict[str, float]) -> dict[str, str]:
    """Take from this process what it may do without; returns what it lost, and how. In a process namespace we go on as
    its first process, whose end is the end of all the others.
    """
    got = {"time": "rlimit", "memory": "rlimit"}
    for name in (("NEWPID", "NEWNET", "NEWIPC"), ("NEWNET", "NEWIPC")):
        if _done(lambda name=name: _unshare(*name)):  # type: ignore[misc]
            got["network"] = "namespace"
            if "NEWPID" in name:
                got["processes"] = "namespace"
                _become_first()
            break
    size = int(limits["memory_mib"]) * _MIB
    for kind, most in (
        (resource.RLIMIT_AS, size),
        (resource.RLIMIT_FSIZE, int(limits["file_mib"]) * _MIB),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, 32),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and _done(_landlock):
        got["files"] = "landlock"
    return got


def _unshare(*names: str) -> None:
    """Namespaces of our own, in a user namespace where we are nobody: with the next exec every capability is gone."""
    flags = {"NEWPID": _CLONE_NEWPID, "NEWNET": _CLONE_NEWNET, "NEWIPC": _CLONE_NEWIPC}
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(_CLONE_NEWUSER | sum(flags[name] for name in names)) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_NOBODY} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{_NOBODY} {group} 1")


def _become_first() -> None:
    """Go on in a child, the first of the new process namespace, and wait for it here."""
    child = os.fork()
    if child == 0:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        return
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _landlock() -> None:
    """Files are read where Python and the system's libraries lie, and written in the working directory; nothing else."""
    version = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _GET_VERSION)
    if version < 1:
        raise OSError(ctypes.get_errno(), "landlock")
    accesses = _FILE_ACCESSES.get(version, (1 << 16) - 1)
    ruleset = struct.pack("=QQQ", accesses, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    ruleset = ruleset[: 8 if version < 4 else 16 if version < 6 else 24]
    rules = _checked(_libc.syscall(_CREATE_RULESET, ruleset, ctypes.c_size_t(len(ruleset)), 0))
    looked_at = {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/bin"}
    looked_at |= {str(Path(sys.executable).resolve().parent), str(Path(__file__).parent), "/etc/ld.so.cache"}
    for path in looked_at:
        _allow(rules, path, _EXECUTE | _READ_FILE | _READ_DIR)
    for path in ("/dev/null", "/dev/zero", "/dev/urandom"):
        _allow(rules, path, _READ_FILE | _WRITE_FILE)
    _allow(rules, os.getcwd(), accesses)  # noqa: PTH109
    _checked(_libc.syscall(_RESTRICT_SELF, rules, 0))
    os.close(rules)


def _allow(rules: int, path: str, accesses: int) -> None:
    if not Path(path).exists():
        return
    if not Path(path).is_dir():
        accesses &= _EXECUTE | _READ_FILE | _WRITE_FILE
    place = os.open(path, os.O_PATH)
    try:
        rule = struct.pack("=Qi", accesses, place)
        _checked(_libc.syscall(_ADD_RULE, rules, _RULE_PATH_BENEATH, rule, 0))
    finally:
        os.close(place)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "landlock")
    return result


def _done(step: Callable[[], None]) -> bool:
    """Whether the kernel let us: some don't have it, and containers often forbid it."""
    try:
        step()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
