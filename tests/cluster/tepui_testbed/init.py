"""PID 1 of a node: reaps what is orphaned to it, and with its end everything in its namespaces ends.

Run by path, without the package: `python -I -S init.py READY`, where READY is a descriptor to write to when it stands.
"""

import os
import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel then reaps by itself
    os.write(int(sys.argv[1]), b"1")
    os.close(int(sys.argv[1]))
    while True:
        signal.pause()
