"""Becomes the command after it asked the kernel to end it together with its parent.

Runs as a script in perfcrew's own interpreter (`-I -S`), before the exec: asking in a function between fork and exec
is not safe where threads run. The wish survives the exec; the kernel grants it when the starting *thread* ends.
Arguments: the parent's pid, a descriptor to report a failing exec on (closed by a good one), the command.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, report, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(125)
    os.set_inheritable(report, False)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # the interpreter ignores them, and exec would hand that on
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, os.environ)
    except OSError as error:
        os.write(report, str(error).encode())
        os._exit(127)


if __name__ == "__main__":
    main()
