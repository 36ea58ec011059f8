"""Stands for a process that the forkserver forks: `python -IS forked.py SOCKET CODE ARGUMENT...`; see forkserver.py.

Nothing but the standard library is imported, so that it starts in a few milliseconds.
"""

import array
import json
import os
import signal
import socket
import sys
import time

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


def main() -> None:
    path, code, *arguments = sys.argv[1:]
    early: list[int] = []
    for number in PASSED_ON:
        signal.signal(number, lambda got, _: early.append(got))
    asker = socket.socket(socket.AF_UNIX)
    for _ in range(600):  # the forkserver imports for some seconds before it listens
        try:
            asker.connect(path)
            break
        except OSError:
            time.sleep(0.1)
    else:
        sys.exit("the forkserver does not listen")
    order = {"code": code, "arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109  # pathlib takes longer than all else
    data = json.dumps(order).encode() + b"\n"
    sent = asker.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
    asker.sendall(data[sent:])
    lines = asker.makefile()
    pid = int(lines.readline())
    for number in PASSED_ON:
        signal.signal(number, lambda got, _: os.kill(pid, got))
    for number in early:
        os.kill(pid, number)
    for stream in (0, 1, 2):  # whoever reads what comes out must see its end
        os.close(stream)
    status = int(lines.readline() or -signal.SIGKILL)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


main()
