"""A step or a training must not outlive who started it: an orphan holds its GPU, and nobody reads its result."""

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
PARENT = "ADG_PARENT"


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Have this process killed, or told by another signal, when its parent ends, however that ends.

    A kill is as good as an orderly end for a step or a training: what was finished is kept, and a training resumes from its
    last checkpoint. On Linux the kernel sees to it, also after an exec; elsewhere a thread looks every second.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, number) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    else:
        threading.Thread(target=_watch, args=(parent, number), daemon=True).start()
    # The parent may have ended while this process was starting: then its name was given in vain.
    if os.environ.pop(PARENT, str(parent)) != str(parent) or os.getppid() != parent:
        os._exit(1)


def _watch(parent: int, number: signal.Signals) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), number)
