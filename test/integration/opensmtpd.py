# SPDX-License-Identifier: MIT
"""A private OpenSMTPD: takes mail on a loopback port and passes it on to another. Its paths and
accounts are built in, so it lives in a mount namespace of its own, where they are ours."""

import os
import signal
import socket
import subprocess
import time

CONF = """\
listen on 127.0.0.1 port {port}
action "out" relay host smtp://127.0.0.1:{next}
match from any for any action "out"
"""
# The namespace: folders and accounts below the test's folder in place of the system's.
ENTER = """\
set -e
mount --make-rprivate /
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
mount --bind "$1/spool" /var/spool
mount --bind "$1/lib" /var/lib
mount --bind "$1/run" /run
mount --bind "$2/usr/libexec" /usr/libexec
exec "$2/usr/sbin/smtpd" -d -f "$1/smtpd.conf"
"""


def find_root():
    root = os.path.join(os.path.dirname(os.environ.get("BUILD_DIR", "")), "mta/opensmtpd")
    return root if os.path.exists(root + "/usr/sbin/smtpd") else None


def available():
    return os.geteuid() == 0 and find_root() is not None and subprocess.run(
        ["unshare", "-m", "true"], capture_output=True).returncode == 0


class OpenSmtpd:
    """opensmtpd = OpenSmtpd(folder, port, next_port); .start(); ... .stop()"""

    def __init__(self, folder, port, next_port):
        self.folder, self.port = folder, port
        self.process = None
        for name in ("", "spool", "lib", "lib/opensmtpd", "lib/opensmtpd/empty", "run"):
            os.mkdir(os.path.join(folder, name), 0o755)
        os.mkdir(os.path.join(folder, "spool/smtpd"), 0o711)
        self._write("smtpd.conf", CONF.format(port=port, next=next_port))
        with open("/etc/passwd") as passwd, open("/etc/group") as group:
            self._write("passwd", passwd.read() + "".join(
                f"{name}:x:{uid}:{uid}::/var/lib/opensmtpd/empty:/bin/false\n"
                for name, uid in (("opensmtpd", 64001), ("opensmtpq", 64002))))
            self._write("group", group.read() + "opensmtpd:x:64001:\nopensmtpq:x:64002:\n")

    def _write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o644)

    def start(self):
        root = find_root()
        libraries = [os.path.join(root, "usr/lib", name) for name in os.listdir(root + "/usr/lib")
                     ] if os.path.isdir(root + "/usr/lib") else []
        environment = dict(os.environ, LD_LIBRARY_PATH=":".join(libraries))
        self.process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", ENTER, "sh", self.folder, root], env=environment,
            stdin=subprocess.DEVNULL, stdout=open(os.path.join(self.folder, "log"), "w"),
            stderr=subprocess.STDOUT, start_new_session=True)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 2) as client:
                    client.settimeout(10)
                    if client.recv(200).startswith(b"220"):
                        client.sendall(b"QUIT\r\n")
                        return self
            except OSError:
                time.sleep(0.1)
        raise AssertionError("OpenSMTPD did not start: " + self.read_log())

    def read_log(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as file:
            return file.read()

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.process = None
