# SPDX-License-Identifier: MIT
"""A private OpenSMTPD: takes mail on a loopback port and passes it on to another. Its paths and
accounts are built in, so it lives in a mount namespace of its own, where they are ours."""

import os
import subprocess

from mailserver import MailServer

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


class OpenSmtpd(MailServer):
    """opensmtpd = OpenSmtpd(folder, port, next_port); .start(); ... .stop()"""

    def __init__(self, folder, port, next_port):
        super().__init__(folder, port)
        for name in ("", "spool", "lib", "lib/opensmtpd", "lib/opensmtpd/empty", "run"):
            os.mkdir(self.path(name), 0o755)
        os.mkdir(self.path("spool/smtpd"), 0o711)
        self._write("smtpd.conf", CONF.format(port=port, next=next_port))
        with open("/etc/passwd") as passwd, open("/etc/group") as group:
            self._write("passwd", passwd.read() + "".join(
                f"{name}:x:{uid}:{uid}::/var/lib/opensmtpd/empty:/bin/false\n"
                for name, uid in (("opensmtpd", 64001), ("opensmtpq", 64002))))
            self._write("group", group.read() + "opensmtpd:x:64001:\nopensmtpq:x:64002:\n")

    def _write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        os.chmod(self.path(name), 0o644)

    def command(self):
        root = find_root()
        libraries = [os.path.join(root, "usr/lib", name) for name in os.listdir(root + "/usr/lib")
                     ] if os.path.isdir(root + "/usr/lib") else []
        return ["unshare", "-m", "sh", "-c", ENTER, "sh", self.folder, root], dict(
            os.environ, LD_LIBRARY_PATH=":".join(libraries))
