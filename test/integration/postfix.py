# SPDX-License-Identifier: MIT
"""A private Postfix: its own settings, queue and mailboxes below a test's folder, on a loopback
port, with STARTTLS by a throw-away authority and AUTH. The system's instance is not touched.

It runs from an unpacked package (test/fetch-postfix) or from the system's programs, as root, which
Postfix insists on. AUTH is judged by a small server here that speaks Dovecot's protocol."""

import base64
import glob
import grp
import os
import pwd
import socket
import subprocess
import threading

from mailserver import MailServer

OWNER, GROUP = "news", "uucp"  # accounts that every Debian has; nothing else here uses them

NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
{lines}
"""
SERVICES = """\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
QUEUES = ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private",
          "saved", "trace"]


def find_root():
    """Where Postfix's programs lie ('' is the system's own), or None."""
    build = os.path.dirname(os.environ.get("BUILD_DIR", ""))
    for root in (os.path.join(build, "mta"), ""):
        if os.path.exists(root + "/usr/lib/postfix/sbin/master"):
            return root
    return None


def available():
    return os.geteuid() == 0 and find_root() is not None


class Authority:
    """A throw-away certificate authority and one server certificate for localhost."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.ca, self.cert, self.key = (os.path.join(folder, n) for n in
                                        ("ca.pem", "server.pem", "server.key"))
        self._openssl("req", "-x509", *NEW_KEY, "-days", "2", "-subj", "/CN=faxpost test CA",
                      "-keyout", "ca.key", "-out", "ca.pem", "-addext", "keyUsage=keyCertSign")
        self._openssl("req", "-new", *NEW_KEY, "-subj", "/CN=localhost", "-keyout", "server.key",
                      "-out", "server.csr")
        with open(os.path.join(folder, "names"), "w") as file:
            file.write("subjectAltName=DNS:localhost,DNS:mail.example.com,IP:127.0.0.1\n")
        self._openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                      "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.pem")

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


class AuthServer(threading.Thread):
    """Dovecot's authentication protocol, as far as Postfix uses it: PLAIN and LOGIN."""

    def __init__(self, path, user, password):
        super().__init__(daemon=True)
        self.user, self.password = user, password
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.socket.listen(20)
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        stream = client.makefile("rw", newline="\n")
        stream.write("VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\n"
                     "SPID\t1\nCUID\t1\nCOOKIE\t00112233445566778899aabbccddeeff\nDONE\n")
        stream.flush()
        login = {}  # conversations of LOGIN: id → user name, once it came
        for line in stream:
            fields = line.rstrip("\n").split("\t")
            if fields[0] == "AUTH" and fields[2] == "PLAIN":
                reply = [f[5:] for f in fields if f.startswith("resp=")]
                if not reply:
                    stream.write(f"CONT\t{fields[1]}\t\n")
                else:
                    self.judge(stream, fields[1], base64.b64decode(reply[0]).split(b"\0")[1:])
            elif fields[0] == "AUTH" and fields[2] == "LOGIN":
                # The name may come with the command.
                reply = [f[5:] for f in fields if f.startswith("resp=")]
                login[fields[1]] = base64.b64decode(reply[0]) if reply else None
                prompt = b"Password:" if reply else b"Username:"
                stream.write(f"CONT\t{fields[1]}\t{base64.b64encode(prompt).decode()}\n")
            elif fields[0] == "CONT":
                text = base64.b64decode(fields[2])
                if fields[1] not in login:
                    self.judge(stream, fields[1], text.split(b"\0")[1:])
                elif login[fields[1]] is None:
                    login[fields[1]] = text
                    stream.write(f"CONT\t{fields[1]}\t{base64.b64encode(b'Password:').decode()}\n")
                else:
                    self.judge(stream, fields[1], [login.pop(fields[1]), text])
            stream.flush()

    def judge(self, stream, number, pair):
        good = pair == [self.user.encode(), self.password.encode()]
        stream.write(f"OK\t{number}\tuser={self.user}\n" if good else
                     f"FAIL\t{number}\tuser={self.user}\n")


class Postfix(MailServer):
    """postfix = Postfix(folder, port); postfix.start(); ... postfix.mails(); postfix.stop()

    auth: (user, password) makes AUTH a condition; tls: an Authority offers STARTTLS."""

    logs = ["output", "log"]

    def __init__(self, folder, port, tls=None, auth=None, settings=None):
        super().__init__(folder, port)
        self.tls, self.auth = tls, auth
        self.settings = settings or {}
        self.root = find_root()
        self.log = os.path.join(folder, "log")
        self._make_folders()
        self._write_settings()

    def _make_folders(self):
        uid, gid = pwd.getpwnam(OWNER).pw_uid, grp.getgrnam(GROUP).gr_gid
        os.makedirs(self.folder)
        for name in ["config", "data", "mail", "queue", "queue/pid"]:
            os.mkdir(self.path(name), 0o755)
        os.chown(self.path("data"), uid, -1)
        os.chown(self.path("mail"), 65534, -1)
        for name in QUEUES:
            os.mkdir(self.path("queue/" + name), 0o700)
            os.chown(self.path("queue/" + name), uid, 0)
        for name, mode in (("maildrop", 0o1730), ("public", 0o2710)):
            os.mkdir(self.path("queue/" + name))
            os.chown(self.path("queue/" + name), uid, gid)
            os.chmod(self.path("queue/" + name), mode)

    def _write_settings(self):
        lib = self.root + "/usr/lib/postfix"
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": self.path("queue"),
            "data_directory": self.path("data"),
            "command_directory": self.root + "/usr/sbin",
            "daemon_directory": lib + "/sbin",
            "shlib_directory": lib,
            "meta_directory": self.path("config"),
            "mail_owner": OWNER,
            "setgid_group": GROUP,
            "import_environment": "MAIL_CONFIG LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME "
                                  "LD_LIBRARY_PATH",
            "maillog_file": self.log,
            "maillog_file_prefixes": self.folder,
            "myhostname": "mail.example.com",
            "mydestination": "",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8" if self.auth is None else "",
            "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject",
            "alias_maps": "",
            "alias_database": "",
            "local_recipient_maps": "",
            "virtual_mailbox_domains": "example.com",
            "virtual_mailbox_base": self.path("mail"),
            "virtual_mailbox_maps": "static:all/",
            "virtual_minimum_uid": "100",
            "virtual_uid_maps": "static:65534",
            "virtual_gid_maps": "static:65534",
            "virtual_mailbox_limit": "0",
            "message_size_limit": "100000000",
            "smtpd_client_connection_count_limit": "0",
            "smtputf8_enable": "no",
            "biff": "no",
        }
        if self.tls is not None:
            settings.update({"smtpd_tls_security_level": "may",
                             "smtpd_tls_cert_file": self.tls.cert,
                             "smtpd_tls_key_file": self.tls.key,
                             "smtpd_tls_loglevel": "1"})
        if self.auth is not None:
            settings.update({"smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot",
                             "smtpd_sasl_path": self.path("auth"),
                             "smtpd_tls_auth_only": "yes" if self.tls else "no"})
        settings.update(self.settings)
        with open(self.path("config/main.cf"), "w") as file:
            file.writelines(f"{key} = {value}\n" for key, value in settings.items())
        with open(self.path("config/master.cf"), "w") as file:
            file.write(MASTER_CF.format(port=self.port, lines=SERVICES))

    def start(self):
        if self.auth is not None:
            self.auth_server = AuthServer(self.path("auth"), *self.auth)
        return super().start()

    def command(self):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}
        # So that the runner finds what a test left behind.
        if "FAXPOST_TEST_ID" in os.environ:
            environment["FAXPOST_TEST_ID"] = os.environ["FAXPOST_TEST_ID"]
        if self.root:
            environment["LD_LIBRARY_PATH"] = ":".join(
                [self.root + "/usr/lib/postfix"] + glob.glob(self.root + "/usr/lib/*-linux-gnu*") +
                glob.glob(self.root + "/lib/*-linux-gnu*"))
        return [self.root + "/usr/lib/postfix/sbin/master", "-c", self.path("config"),
                "-d"], environment

    def mails(self):
        """All mails that arrived, oldest first, as octets; Delivered-To says for whom."""
        paths = glob.glob(os.path.join(self.path("mail"), "all/new/*"))
        return [open(path, "rb").read() for path in sorted(paths, key=os.path.getmtime)]
