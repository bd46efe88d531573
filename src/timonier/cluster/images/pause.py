"""The program that holds a pod's namespaces: a static ELF executable of a few hundred bytes, written by hand.

It ignores SIGCHLD, so the kernel reaps what is re-parented to it where containers share a process namespace, and then
sleeps for ever. As process 1 of its namespace it ends only by SIGKILL, which is how runtimes end sandboxes.
"""

from __future__ import annotations

import platform
import struct

BASE = 0x400000
ELF_HEADER, PROGRAM_HEADER = 64, 56
CODE_AT = BASE + ELF_HEADER + PROGRAM_HEADER
MACHINES = {"x86_64": 62, "aarch64": 183}
GOARCH = {"x86_64": "amd64", "aarch64": "arm64"}
SIG_IGN = struct.pack("<QQQQ", 1, 0, 0, 0)
"""struct kernel_sigaction: handler SIG_IGN, no flags, no restorer, empty mask."""

X86_64 = bytes.fromhex(
    "b80d000000"        # mov eax, 13          rt_sigaction
    "bf11000000"        # mov edi, 17          SIGCHLD
    "488d3516000000"    # lea rsi, [rip+22]    the action behind the code
    "31d2"              # xor edx, edx         no old action
    "41ba08000000"      # mov r10d, 8          size of the signal set
    "0f05"              # syscall
    "b822000000"        # mov eax, 34          pause
    "0f05"              # syscall
    "ebf7"              # jmp to the mov before it
    "909090"            # to the action
)
AARCH64 = struct.pack(
    "<13I",
    0xD28010C8,         # mov x8, #134         rt_sigaction
    0xD2800220,         # mov x0, #17          SIGCHLD
    0x10000161,         # adr x1, #44          the action behind the code
    0xD2800002,         # mov x2, #0           no old action
    0xD2800103,         # mov x3, #8           size of the signal set
    0xD4000001,         # svc #0
    0xD2800000,         # mov x0, #0
    0xD2800001,         # mov x1, #0
    0xD2800002,         # mov x2, #0
    0xD2800003,         # mov x3, #0
    0xD2800928,         # mov x8, #73          ppoll(0, 0, 0, 0): no time limit
    0xD4000001,         # svc #0
    0x17FFFFFA,         # b to the first mov of the loop
)


def program(machine: str = "") -> bytes:
    """The executable for a machine (`x86_64`, `aarch64`; this one by default). Raises KeyError for others."""
    machine = machine or platform.machine()
    code = {"x86_64": X86_64, "aarch64": AARCH64}[machine] + SIG_IGN
    size = ELF_HEADER + PROGRAM_HEADER + len(code)
    identification = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)
    header = identification + struct.pack("<HHIQQQIHHHHHH", 2, MACHINES[machine], 1, CODE_AT, ELF_HEADER, 0, 0,
                                          ELF_HEADER, PROGRAM_HEADER, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 0x1000)
    return header + segment + code
