# SPDX-License-Identifier: MIT
"""What a test has to itself, by a namespace of its own: mounts; a network with nothing but loopback,
a packet filter in it, and a resolver that never answers. Needs root and a kernel that permits it; else
the test is skipped."""

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess

from harness import Skip

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def own_mounts(more=0, what="a namespace for mounts"):
    """What is mounted from here on is there for this process, which runs one test, and all that it
    starts; it is gone with them. more: further namespaces."""
    if os.geteuid() != 0:
        raise Skip(f"{what} needs root")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | more) != 0:
        raise Skip(f"{what} cannot be had here: {os.strerror(ctypes.get_errno())}")
    mount("--make-rprivate", "/")


def mount(*arguments):
    """mount(8), which may not be permitted here."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise Skip(f"mount {' '.join(arguments)}: {done.stderr.strip()}")


def enter():
    """From here on this process, which runs one test, and all that it starts are alone."""
    own_mounts(CLONE_NEWNET, "a network namespace")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anything:  # netdevice(7)
        fcntl.ioctl(anything, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


class Firewall:
    """firewall.drop(port): packets to it vanish, also those of connections that stand; refuse(port):
    the sender is told that it is not permitted; open(): all pass again. Call enter() before."""

    def __init__(self):
        if shutil.which("nft") is None:
            raise Skip("no nft here: install nftables")
        try:
            self._nft("add table inet test")
            self._nft("add chain inet test in { type filter hook input priority 0; }")
        except AssertionError as error:
            raise Skip(f"the kernel has no packet filter for us: {error}") from None

    @staticmethod
    def _nft(rule):
        done = subprocess.run(["nft", rule], capture_output=True, text=True)
        assert done.returncode == 0, f"nft {rule}: {done.stderr.strip()}"

    def drop(self, port):
        self._nft(f"add rule inet test in tcp dport {port} drop")

    def refuse(self, port):
        self._nft(f"add rule inet test in tcp dport {port} reject with icmpx type admin-prohibited")

    def open(self):
        self._nft("flush chain inet test in")


def silent_resolver(box):
    """The only name server takes questions and gives no answer. Call enter() before."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    box.closers.append(server.close)
    conf = box.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:5 attempts:3\n")
    os.chmod(conf, 0o644)
    mount("--bind", conf, os.path.realpath("/etc/resolv.conf"))
    return server
