"""Makes an interpreter look like one on Windows, as far as that is possible: what it lacks there is not here.

Parts of the standard library that have looked at the system when they were imported, or look now and then, go on
as they are.
"""

import asyncio  # noqa: F401
import ctypes  # noqa: F401
import importlib.metadata  # noqa: F401
import mimetypes
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import types

mimetypes.init()
for module in (pathlib, tempfile, shutil, subprocess):
    module.os = types.SimpleNamespace(**vars(os))
tempfile._os = types.SimpleNamespace(**vars(os))
subprocess.signal = types.SimpleNamespace(**vars(signal))

for name in ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "posix", "syslog", "crypt"):
    sys.modules[name] = None  # type: ignore[assignment]

MISSING = {
    os: "fork forkpty killpg getpgid getpgrp setpgid setsid getsid nice getuid geteuid getgid getegid setuid "
    "setgid getgroups uname wait wait3 wait4 waitid pidfd_open sched_getaffinity sched_setaffinity sched_yield "
    "register_at_fork mkfifo mknod chown lchown fchown fchmod fchdir chroot sync sysconf getloadavg "
    "set_blocking get_blocking pipe2 openpty ttyname ctermid pread pwrite preadv pwritev sendfile O_NOFOLLOW "
    "O_DIRECTORY O_CLOEXEC O_NONBLOCK O_SYNC statvfs fstatvfs posix_spawn posix_spawnp memfd_create",
    signal: "SIGKILL SIGSTOP SIGHUP SIGQUIT SIGPIPE SIGALRM SIGUSR1 SIGUSR2 SIGCHLD SIGCONT SIGTSTP SIGTTIN SIGTTOU "
    "SIGWINCH SIGBUS alarm setitimer getitimer siginterrupt sigwait sigpending sigtimedwait sigwaitinfo "
    "pthread_kill pthread_sigmask pidfd_send_signal pause",
    select: "poll epoll kqueue",
    socket: "AF_UNIX SO_REUSEPORT send_fds recv_fds",
}
for module, names in MISSING.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)


def socketpair(family: int = socket.AF_INET, *_: object) -> tuple[socket.socket, socket.socket]:
    """Make a pair through the loopback interface, as on Windows."""
    with socket.socket(family) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        one = socket.socket(family)
        one.connect(listener.getsockname())
        other, _ = listener.accept()
        return one, other


socket.socketpair = socketpair  # type: ignore[assignment]
os.name = "nt"
sys.platform = "win32"
