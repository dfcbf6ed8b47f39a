# SPDX-License-Identifier: MIT
"""What the real mail servers of the tests have in common: a folder, a loopback port, a process
group that is started, greets, and is ended."""

import os
import signal
import socket
import subprocess
import time


class MailServer:
    """The basis of Postfix and OpenSmtpd, which write settings and say command()."""

    logs = ["output"]  # files in the folder

    def __init__(self, folder, port):
        self.folder, self.port = folder, port
        self.process = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def command(self):
        """(arguments, environment) of the server in the foreground."""
        raise NotImplementedError

    def start(self):
        command, environment = self.command()
        with open(self.path("output"), "w") as output:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._greets():
                return self
            time.sleep(0.1)
        raise AssertionError(f"{type(self).__name__} did not start: {self.read_log()}")

    def _greets(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as client:
                client.settimeout(10)
                if client.recv(200).startswith(b"220"):
                    client.sendall(b"QUIT\r\n")
                    return True
        except OSError:
            pass
        return False

    def read_log(self):
        text = ""
        for name in self.logs:
            if os.path.exists(self.path(name)):
                with open(self.path(name), errors="replace") as file:
                    text += file.read()
        return text

    def stop(self):
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
