#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fake_smtp.py [options]: an SMTP server that fails on demand, for tests.

    fake_smtp.py --port 2525 --fail mail=452:"4.3.1 insufficient storage" --times 3
    fake_smtp.py --port 2525 --fail final=drop --store /tmp/mails

A --fail names a stage (connect, greeting, ehlo, starttls, auth, mail, rcpt, data, content, final,
quit) and what happens there:

    CODE[:TEXT]   this reply instead of the good one
    drop          the connection is closed
    reset         it is reset
    hang          no answer until the client leaves
    trickle       the good answer, one octet in --pace seconds
    flood         a reply without end
    control       a refusal with control characters in it
    pause[:N]     nothing happens for N or --pace seconds, then the good answer

content happens within the message, after --after octets; pause there stops reading, again and again
after as many. --times N: only
the first N connections fail, later ones are served well; --transaction N: only the Nth transaction
of a connection does (from MAIL on). Several --fail may be given. Every accepted message is written to
--store as NUMBER.eml, octet for octet as it was before dot-stuffing. Each event is a line of JSON on
standard output; the first one, {"event": "ready", "port": N}, tells the port.
"""

import argparse
import base64
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time

STAGES = ("connect", "greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "content",
          "final", "quit")
GOOD = {"greeting": "220 fake ESMTP", "starttls": "220 2.0.0 go on", "auth": "235 2.7.0 welcome",
        "mail": "250 2.1.0 ok", "rcpt": "250 2.1.5 ok", "data": "354 go on",
        "final": "250 2.0.0 queued as {number}", "quit": "221 2.0.0 bye"}


class Gone(Exception):
    """The connection is over."""


class Server:
    def __init__(self, options):
        self.options = options
        self.lock = threading.Lock()  # connections, messages, standard output
        self.connections = 0
        self.messages = 0
        self.live = self.most_live = 0
        self.listener = socket.socket(socket.AF_INET6 if ":" in options.address
                                      else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if options.narrow or any(stage == "content" for stage, _ in options.fail):
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind((options.address, options.port))
        self.listener.listen(256)

    def failures(self, connection, transaction):
        """What is to fail: {stage: how}. transaction: 0 before the first MAIL."""
        options = self.options
        if 0 < options.times < connection or options.transaction not in (0, transaction):
            return {}
        return dict(options.fail)

    def see(self, octets, recipients):
        """A whole message, before the final reply."""

    def keep(self, number, octets, recipients):
        """An accepted message."""
        if self.options.store:
            with open(os.path.join(self.options.store, f"{number}.eml"), "wb") as file:
                file.write(octets)

    def tell(self, event, **more):
        with self.lock:
            print(json.dumps({"event": event, **more}), flush=True)

    def run(self):
        self.tell("ready", port=self.listener.getsockname()[1])
        while True:
            client, _ = self.listener.accept()
            with self.lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=Connection(self, client, number).run, daemon=True).start()


class Connection:
    def __init__(self, server, client, number):
        self.server, self.options, self.socket = server, server.options, client
        self.number = number
        self.stream = client.makefile("rb")
        self.tls = False
        self.logged_in = False
        self.transaction = 0
        self.fail = server.failures(number, 0)
        self.recipients = []

    # ---- answers ------------------------------------------------------------------------------

    def send(self, text):
        self.socket.sendall(text.encode("latin-1") + b"\r\n")

    def answer(self, stage, good=None):
        """Gives the answer of a stage; true when it was the good one."""
        what = self.fail.get(stage)
        good = good if good is not None else GOOD[stage]
        if what is None:
            self.send(good)
            return True
        self.server.tell("fail", stage=stage, how=what, connection=self.number)
        if what[:3].isdigit():
            code, _, text = what.partition(":")
            self.send(f"{code} {text or 'as told'}")
            if code == "421":
                raise Gone
            return False
        self.misbehave(what, good)
        return what == "trickle" or what.startswith("pause")

    def misbehave(self, what, good):
        if what == "drop":
            raise Gone
        if what == "reset":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise Gone
        if what == "hang":
            while self.socket.recv(65536):
                pass
            raise Gone
        if what == "trickle":
            for octet in good.encode() + b"\r\n":
                self.socket.sendall(bytes([octet]))
                time.sleep(self.options.pace)
        elif what.startswith("pause"):
            time.sleep(float(what[6:] or self.options.pace))
            if good:
                self.send(good)
        elif what == "flood":
            while True:
                self.socket.sendall(b"250-" + b"x" * 996 + b"\r\n")
        elif what == "control":
            self.send("550 5.0.0 \x1b[2J\x07bell\x7f")
        else:
            raise SystemExit(f"fake_smtp.py: no such failure: {what}")

    # ---- the dialogue -------------------------------------------------------------------------

    def run(self):
        self.count(1)
        try:
            self.serve()
        except (Gone, OSError, ValueError):
            pass
        self.count(-1)
        self.server.tell("closed", connection=self.number)
        self.stream.close()
        self.socket.close()

    def count(self, step):
        with self.server.lock:
            self.server.live += step
            self.server.most_live = max(self.server.most_live, self.server.live)

    def serve(self):
        if "connect" in self.fail:
            self.answer("connect", "")
        if not self.answer("greeting"):
            self.socket.recv(1000)
            return
        while True:
            line = self.stream.readline(2000)
            if not line:
                return
            verb, _, rest = line.decode("latin-1").strip().partition(" ")
            handler = getattr(self, "do_" + verb.lower(), None)
            if handler is None:
                self.send("502 5.5.1 what")
            else:
                handler(rest)

    def do_ehlo(self, _):
        offers = ["fake", "ENHANCEDSTATUSCODES", *self.options.offer]
        if self.options.size:
            offers.append(f"SIZE {self.options.size}")
        if self.options.cert and not self.tls:
            offers.append("STARTTLS")
        if self.options.login and (self.tls or not self.options.cert):
            offers.append("AUTH PLAIN LOGIN")
        self.answer("ehlo", "\r\n".join("250" + (" " if i == len(offers) - 1 else "-") + offer
                                        for i, offer in enumerate(offers)))

    def do_helo(self, _):
        self.answer("ehlo", "250 fake")

    def do_starttls(self, _):
        if not self.answer("starttls"):
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.options.cert, self.options.key)
        context.sni_callback = lambda _, name, __: self.server.tell("sni", name=name)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.stream = self.socket.makefile("rb")
        self.tls = True

    def do_auth(self, rest):
        mechanism, _, initial = rest.partition(" ")
        if mechanism == "PLAIN":
            given = base64.b64decode(initial or self.challenge("")).decode().split("\0")[1:]
        else:
            user = initial or self.challenge("VXNlcm5hbWU6")
            given = [base64.b64decode(t).decode() for t in (user, self.challenge("UGFzc3dvcmQ6"))]
        if ":".join(given) != self.options.login:
            self.send("535 5.7.8 bad credentials")
            return
        self.logged_in = self.answer("auth")

    def challenge(self, text):
        self.send("334 " + text)
        return self.stream.readline(2000).strip()

    def do_mail(self, _):
        if self.options.login and not self.logged_in:
            self.send("530 5.7.0 login first")
            return
        self.recipients = []
        self.transaction += 1
        self.fail = self.server.failures(self.number, self.transaction)
        self.answer("mail")

    def do_rcpt(self, rest):
        if self.options.refuse and self.options.refuse in rest:
            self.send("550 5.1.1 no such user")
        elif 0 < self.options.most <= len(self.recipients):
            self.send("452 4.5.3 too many recipients")
        elif self.answer("rcpt"):
            self.recipients.append(rest)

    def do_data(self, _):
        if not self.recipients:
            self.send("554 5.5.1 no valid recipients")
            return
        if self.answer("data"):
            self.take_message()

    def take_message(self):
        lines = []
        octets = 0
        after = self.options.after if "content" in self.fail else None
        while True:
            line = self.stream.readline(100000)
            if not line:
                raise Gone
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
            octets += len(line)
            if after is not None and octets >= after:
                self.answer("content", "")
                after += self.options.after
        self.server.see(b"".join(lines), self.recipients)
        time.sleep(self.options.delay)
        with self.server.lock:
            number = self.server.messages + 1
        if not self.answer("final", GOOD["final"].format(number=number)):
            return
        with self.server.lock:
            self.server.messages += 1
            number = self.server.messages
        self.server.keep(number, b"".join(lines), self.recipients)
        self.server.tell("message", number=number, recipients=self.recipients,
                         octets=sum(map(len, lines)), connection=self.number, tls=self.tls)

    def do_rset(self, _):
        self.send("250 2.0.0 ok")

    do_noop = do_rset

    def do_quit(self, _):
        self.answer("quit")
        raise Gone


def failure(text):
    stage, _, what = text.partition("=")
    if stage not in STAGES or not what:
        raise argparse.ArgumentTypeError(f"STAGE=HOW, stages are {', '.join(STAGES)}")
    return stage, what


def main():
    try:
        Server(read_options()).run()
    except KeyboardInterrupt:
        sys.exit(0)


def read_options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fail", type=failure, action="append", default=[], metavar="STAGE=HOW")
    parser.add_argument("--times", type=int, default=0, help="only the first N connections fail")
    parser.add_argument("--transaction", type=int, default=0,
                        help="only the Nth transaction of a connection fails")
    parser.add_argument("--most", type=int, default=0, help="most recipients of a transaction")
    parser.add_argument("--after", type=int, default=20000, help="octets before 'content' happens")
    parser.add_argument("--pace", type=float, default=1.0,
                        help="seconds per octet of 'trickle', or of 'pause'")
    parser.add_argument("--narrow", action="store_true",
                        help="a small window, so that the client notices when nothing is read")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before the final reply")
    parser.add_argument("--offer", action="append", default=[], help="one more EHLO extension")
    parser.add_argument("--size", type=int, default=0, help="announced SIZE")
    parser.add_argument("--refuse", default="", help="recipients with this text in them get 550")
    parser.add_argument("--cert", help="certificate (PEM): STARTTLS is offered")
    parser.add_argument("--key", help="its key; in the same file by default")
    parser.add_argument("--login", default="", help="USER:PASSWORD: AUTH is demanded")
    parser.add_argument("--store", help="folder for the messages")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
