"""What the process that reads foreign bytes gives up before it reads any.

On Linux (x86-64 and ARM64) the kernel holds all of it, also for what the process starts (pandoc,
tesseract, LibreOffice): no socket but a local one can be made, so that nothing is reached over a
network; no other process is traced; memory, file size, open files and core dumps are bounded; it
dies with its parent; and when memory is short it is the first to go. It may still read what its
user may read, and fill the disk with many files: run the platform as a user of its own.
"""

import ctypes
import os
import platform
import resource
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

MAX_FILE_BYTES = 1024**3
_MAX_OPEN_FILES = 256
_OOM_PREFERENCE = "900"

_SET_PARENT_DEATH_SIGNAL, _SET_SECCOMP, _SET_NO_NEW_PRIVILEGES = 1, 22, 38
_FILTER_MODE = 2
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_KILL, _ALLOW = 0x80000000, 0x7FFF0000
_REFUSE = 0x00050000 | 13  # with EACCES
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_OTHER_ABI = 0x40000000
"""From here on x86-64 numbers its x32 system calls, which would go round the filter."""


@dataclass(frozen=True, slots=True)
class _Calls:
    """The numbers of system calls on one architecture."""

    architecture: int
    socket: int
    refused: tuple[int, ...]
    """ptrace, process_vm_readv, process_vm_writev, bpf, io_uring_setup."""


_CALLS: Mapping[str, _Calls] = MappingProxyType(
    {
        "x86_64": _Calls(0xC000003E, 41, (101, 310, 311, 321, 425)),
        "aarch64": _Calls(0xC00000B7, 198, (117, 270, 271, 280, 425)),
    }
)


def confine(*, memory_bytes: int) -> None:
    """Give up what reading a file does not need. It cannot be taken back.

    Raises `OSError` where the kernel should hold it and does not.
    """
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, MAX_FILE_BYTES),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
    ):
        resource.setrlimit(limit, (value, value))
    with suppress(OSError):  # no such file outside Linux
        Path("/proc/self/oom_score_adj").write_text(_OOM_PREFERENCE, encoding="ascii")
    calls = _CALLS.get(platform.machine()) if sys.platform == "linux" else None
    if calls is None:
        sys.addaudithook(_refuse_network)
        return
    _control(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    _control(_SET_NO_NEW_PRIVILEGES, 1)
    _filter_calls(calls)


def _refuse_network(event: str, _arguments: tuple[object, ...]) -> None:
    """The best that can be done elsewhere: Python's own sockets stay shut."""
    if event in {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"}:
        raise PermissionError("the parsing process has no network")


def _filter_calls(calls: _Calls) -> None:
    """A seccomp filter (Linux kernel documentation, `userspace-api/seccomp_filter`)."""
    # Each test says how many lines to skip where it holds, and where it does not.
    refused = calls.refused
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_IF_EQUAL, 1, 0, calls.architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_IF_AT_LEAST, len(refused) + 3, 0, _OTHER_ABI),
        *((_IF_EQUAL, len(refused) + 2 - at, 0, number) for at, number in enumerate(refused)),
        (_IF_EQUAL, 0, 3, calls.socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_IF_EQUAL, 1, 0, socket.AF_UNIX),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]  # fmt: skip
    packed = b"".join(struct.pack("=HBBI", *line) for line in lines)
    code = ctypes.create_string_buffer(packed, len(packed))
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(lines), ctypes.addressof(code))
    )
    _control(_SET_SECCOMP, _FILTER_MODE, ctypes.addressof(program))


def _control(option: int, first: int, second: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (
        ctypes.c_ulong(first),
        ctypes.c_ulong(second),
        ctypes.c_ulong(0),
        ctypes.c_ulong(0),
    )
    if libc.prctl(ctypes.c_int(option), *arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
