# SPDX-License-Identifier: MIT
"""What integration tests are made of: a folder of their own (Box), a running faxpostd (Gateway),
test documents and their pixels, callers, and the mails that come out (Mail)."""

import email
import email.policy
import glob
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time

BUILD = os.environ.get("BUILD_DIR") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../../build/gcc")
BUILD = os.path.abspath(BUILD)
REPORTS = re.compile(
    r"(ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|Assertion .* failed|"
    r"CONFIRMED PAGES LOST)")


class Skip(Exception):
    """A test that cannot run on this machine says why."""


# ---- marks of test functions -----------------------------------------------------------------------


def timeout(seconds):
    """@timeout(60): the test is ended after this time (120 without)."""
    def mark(test):
        test.timeout = seconds
        return test
    return mark


def alone(test):
    """@alone: no other test runs beside it."""
    test.alone = True
    return test


def built_with_tsan():
    with open(os.path.join(BUILD, "src/faxpostd"), "rb") as program:
        return b"__tsan_init" in program.read()


def sanitized(test):
    """@sanitized: runs with the sanitizer builds too."""
    test.sanitized = True
    return test


def attribute(test, name, fallback):
    return getattr(test, name, fallback)


# ---- the box ---------------------------------------------------------------------------------------


class Box:
    """The world of one test: a folder, ports that nobody else has, and all that is to be ended."""

    def __init__(self, folder):
        self.folder = folder
        self.closers = []
        self.ports, self._anchor = self._reserve_ports()
        self._port = self.ports

    @staticmethod
    def _reserve_ports():
        """A block of 600 ports below the ephemeral ones, held by its first, so that tests of any
        run on this machine do not meet."""
        while True:
            first = random.randrange(12000, 32000, 600)
            anchor = socket.socket()
            try:
                anchor.bind(("127.0.0.1", first))
                anchor.listen(1)
                return first, anchor
            except OSError:
                anchor.close()

    def port(self, width=1):
        """A free port for UDP and TCP, from the first 200 of the block, and some behind it."""
        while True:
            self._port += 1
            assert self._port < self.ports + 200, "ports used up"
            try:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind(("127.0.0.1", self._port))
                self._port += width - 1
                return self._port - width + 1
            except OSError:
                continue

    def media_ports(self):
        return f"{self.ports + 200}-{self.ports + 599}"

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def reachable(self, path):
        """A copy of a program or library where every account can execute it: the build may lie in
        a folder that is closed to others, as /root is."""
        copy = self.path("bin-" + os.path.basename(path))
        if not os.path.exists(copy):
            shutil.copy(path, copy)
            os.chmod(copy, 0o755)
        return copy

    def close(self):
        for closer in reversed(self.closers):
            closer()
        self.closers.clear()
        self._anchor.close()

    def gateway(self, **arguments):
        """A started Gateway that is stopped, and judged, at the end of the test."""
        gateway = Gateway(self, **arguments)
        self.closers.append(gateway.stop)
        return gateway.start()

    def document(self, name="document.tif", **options):
        """A test document by genpage: p=pages, k=kind, w=width, r=dpi, l=rows, c=coding, s=seed."""
        path = self.path(name)
        arguments = [str(a) for key, value in options.items() for a in ("-" + key, value)]
        run([tool("genpage"), "-o", path, *arguments])
        return path

    def call(self, gateway, document, **options):
        """Places calls by faxcall and waits for their end; see Caller."""
        return Caller(self, gateway, document, **options).wait()

    def calling(self, gateway, document, **options):
        """Places calls and does not wait: .wait() gives the results."""
        return Caller(self, gateway, document, **options)


def tool(name):
    return os.path.join(BUILD, "test/tools", name)


def run(command, **options):
    """A program that must succeed; gives its output."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=options.pop("timeout", 60), **options)
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


PATIENCE_SECONDS = 60  # for what comes at once, on a machine that has much else to do


def wait_for(what, condition, seconds=PATIENCE_SECONDS, step=0.05):
    """Polls until condition() is true and gives its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(step)


# ---- pixels ----------------------------------------------------------------------------------------


class Pixels(tuple):
    """(width, length, x dpi, y dpi, black, hash) of one page."""

    @property
    def image(self):
        """What must be equal: size and pixels."""
        return self[0], self[1], self[5]

    @property
    def resolution(self):
        return int(self[2]), int(self[3])


def pixels(path):
    """One Pixels for every page of a TIFF."""
    return [Pixels(line.split()) for line in run([tool("tiffpixels"), path]).splitlines()]


def images(path):
    return [page.image for page in pixels(path)]


def pdf_images(path):
    """Size and pixels of every page of a PDF, taken out by poppler."""
    stem = path + "-page"
    run(["pdfimages", "-tiff", path, stem])
    return [image for name in sorted(glob.glob(stem + "-*.tif")) for image in images(name)]


# ---- mails -----------------------------------------------------------------------------------------


class Mail:
    """A mail as Python's own parser reads it."""

    def __init__(self, octets, folder, name):
        self.octets = octets
        self.folder = os.path.join(folder, "mail-" + name)
        self.message = email.message_from_bytes(octets, policy=email.policy.default)
        defects = [d for part in self.message.walk() for d in part.defects]
        assert not defects, f"{name}: {defects}"

    def __getitem__(self, header):
        return self.message[header]

    @property
    def text(self):
        part = self.message.get_body(preferencelist=("plain",))
        assert part is not None, "no text part"
        return part.get_content()

    @property
    def html(self):
        part = self.message.get_body(preferencelist=("html",))
        return part.get_content() if part is not None else None

    def parts(self, content_type):
        return [p for p in self.message.walk() if p.get_content_type() == content_type]

    def save(self, content_type):
        """Writes the one part of that type to a file; gives its path."""
        found = self.parts(content_type)
        assert len(found) == 1, f"{len(found)} parts {content_type}"
        os.makedirs(self.folder, exist_ok=True)
        path = os.path.join(self.folder, content_type.replace("/", "."))
        with open(path, "wb") as file:
            file.write(found[0].get_payload(decode=True))
        return path

    def images(self):
        """The pages of the document, from its PDF or else its TIFF."""
        if self.parts("application/pdf"):
            return pdf_images(self.save("application/pdf"))
        return images(self.save("image/tiff"))


# ---- the gateway -----------------------------------------------------------------------------------


def ini(sections):
    """{'line trunk': {'type': 'sip'}} as INI text."""
    lines = []
    for section, keys in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {value}" for key, value in keys.items() if value is not None]
        lines.append("")
    return "\n".join(lines)


class Gateway:
    """faxpostd in the foreground, with a folder of its own.

    settings, servers, bypass: sections as for ini(), merged with what a test needs anyway."""

    def __init__(self, box, settings=None, servers=None, bypass=None, environment=None,
                 name="gateway", answers=True, account=None):
        self.box = box
        self.folder = box.path(name)
        os.mkdir(self.folder, 0o755)
        self.sip_port = box.port()
        self.answers = answers  # the line takes an OPTIONS from here
        self.account = account if os.geteuid() == 0 else None  # uid of the whole daemon
        if self.account:
            os.chown(self.folder, self.account, self.account)
        self.process = None
        self.log_path = os.path.join(self.folder, "log")
        self.environment = dict(os.environ, **(environment or {}))
        sections = {
            "gateway": {"state_dir": "state", "run_dir": "run", "operator": "operator@example.com",
                        "hostname": "fax.example.com",
                        "user": "nobody" if os.geteuid() == 0 and not account else None},
            "line trunk": {"type": "sip", "listen": f"127.0.0.1:{self.sip_port}",
                           "transport": "udp,tcp", "media_address": "127.0.0.1",
                           "media_ports": box.media_ports(), "t38": "ask",
                           "station": "+15552000"},
            "limits": {"drain": "10s"},
            "report": {"mail": "no"},  # tests count mails
        }
        for section, keys in (settings or {}).items():
            sections.setdefault(section, {}).update(keys)
        self.sections = sections
        self.conf = os.path.join(self.folder, "faxpost.ini")
        self.write_settings()
        for name_, content in (("servers.ini", servers), ("bypass.ini", bypass)):
            if content is not None:
                self.write(name_, ini(content))

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)

    def write_settings(self):
        self.write("faxpost.ini", ini(self.sections))

    @property
    def state(self):
        return os.path.join(self.folder, "state")

    def start(self):
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(
                [self.program("faxpostd"), "-F", "-c", self.conf],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=self.environment, start_new_session=True, **self.who())
        wait_for("faxpostd is ready", self._is_ready)
        return self

    def program(self, name):
        path = os.path.join(BUILD, "src", name)
        return self.box.reachable(path) if self.account else path

    def who(self):
        """For subprocess: under the daemon's account."""
        return {"user": self.account, "group": self.account,
                "extra_groups": []} if self.account else {}

    def _is_ready(self):
        assert self.process.poll() is None, f"faxpostd ended by itself:\n{self.log()[-3000:]}"
        status = self.faxpost("status", check=False)
        return status is not None and (not self.answers or self._answers())

    def _answers(self):
        """The SIP line is open: OPTIONS gets a reply."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect(("127.0.0.1", self.sip_port))  # so that a closed port is noticed at once
            port = client.getsockname()[1]
            request = (f"OPTIONS sip:ready@127.0.0.1:{self.sip_port} SIP/2.0\r\n"
                       f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{random.getrandbits(40):x}"
                       f";rport\r\nMax-Forwards: 70\r\nFrom: <sip:test@127.0.0.1>;tag=1\r\n"
                       f"To: <sip:ready@127.0.0.1>\r\nCall-ID: {random.getrandbits(64):x}\r\n"
                       f"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
            try:
                client.send(request.encode())
                return client.recv(4000).startswith(b"SIP/2.0 2")
            except OSError:
                return False

    def faxpost(self, *arguments, check=True, json_=True):
        """The command, its JSON parsed; None when it fails and check is off."""
        command = [self.program("faxpost"), *arguments]
        command += ["--json"] if json_ else []
        done = subprocess.run([*command, "-c", self.conf], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS,
                              env=self.environment,
                              **self.who())
        if not check and done.returncode != 0:
            return None
        assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stderr}"
        return json.loads(done.stdout) if json_ else done.stdout

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def stood_still(self):
        """The machine did not run for a while: what it did to live audio says nothing about us."""
        return "media thread late" in self.log()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def mail_paths(self):
        return sorted(glob.glob(os.path.join(self.state, "mailbox/*/new/*")) +
                      glob.glob(os.path.join(self.state, "mailbox/*/cur/*")), key=os.path.getmtime)

    def mails(self, count, seconds=PATIENCE_SECONDS):
        """Waits until exactly that many mails lie in the mailboxes, and a moment longer."""
        wait_for(f"{count} mails", lambda: len(self.mail_paths()) >= count, seconds)
        time.sleep(0.5)
        mails = self.mails_now()
        assert len(mails) == count, f"{len(mails)} mails instead of {count}: {self.mail_paths()}"
        return mails

    def mails_now(self):
        return [Mail(open(path, "rb").read(), self.box.folder, str(i))
                for i, path in enumerate(self.mail_paths())]

    def wait_idle(self, seconds=PATIENCE_SECONDS):
        """No call lives and nothing waits in incoming/."""
        incoming = os.path.join(self.state, "incoming")
        wait_for("incoming/ is empty", lambda: not os.listdir(incoming), seconds)

    def kill(self):
        """SIGKILL for the whole group: a power cut as far as the processes see."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self):
        """SIGTERM; must end with 0, and without a word from a sanitizer."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError("faxpostd did not end on SIGTERM:\n" + self.log()[-3000:])
        report = REPORTS.search(self.log())
        assert report is None, f"{report.group(0)} in {self.log_path}"
        assert status == 0, f"faxpostd ended with {status}:\n{self.log()[-3000:]}"

    def address(self, line="trunk"):
        """host:port of a SIP line."""
        return self.sections["line " + line]["listen"]

    def incoming(self):
        """Names of the folders in incoming/."""
        folder = os.path.join(self.state, "incoming")
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


# ---- the caller ------------------------------------------------------------------------------------


class Caller:
    """faxcall at work: a far end that has nothing of ours.

    Options are faxcall's own: loss=0.05 becomes --loss 0.05, no_ecm=True becomes --no-ecm."""

    def __init__(self, box, gateway, document, line="trunk", number="5552100", **options):
        self.path = box.path(f"faxcall-{random.getrandbits(32):08x}")
        command = [tool("faxcall"), "--json", self.path, "--to",
                   f"sip:{number}@{gateway.address(line)}", "--file", document]
        for key, value in options.items():
            command.append("--" + key.replace("_", "-"))
            if value is not True:
                command.append(str(value))
        self.command = command
        self._start()

    def again(self, caller):
        """The same once more, from another number."""
        twin = Caller.__new__(Caller)
        twin.path = self.path + "-again"
        twin.command = [twin.path if word == self.path else word for word in self.command]
        twin.command[twin.command.index("--from") + 1] = caller
        twin._start()
        return twin

    def _start(self):
        self.output = open(self.path + ".log", "w+")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=self.output, stderr=subprocess.STDOUT)

    def wait(self, seconds=300):
        """The results, one dict for each call, in the order of their numbers."""
        self.process.wait(seconds)
        text = ""
        if os.path.exists(self.path):
            with open(self.path) as file:
                text = file.read()
        self.output.seek(0)
        assert text, f"{' '.join(self.command)} gave no result:\n{self.output.read()}"
        results = [json.loads(line) for line in text.splitlines()]
        assert not REPORTS.search(text)
        return sorted(results, key=lambda r: r.get("call", 0))
