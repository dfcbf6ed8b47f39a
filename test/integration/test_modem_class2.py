# SPDX-License-Identifier: MIT
"""Modem lines at modems that speak T.30 themselves (Class 2 and 2.0): a modem that is a script on a
pty, with pages that the library coded."""

import glob
import os
import pty
import struct
import threading
import time
import tty

from harness import images, timeout
from softmodem import need_ptys
from test_calls import check_partial
from test_modem import by_line, modem_gateway

DLE, ETX, DC1, DC2, CAN = 0x10, 0x03, 0x11, 0x12, 0x18
NAMES = {  # (class 2, class 2.0)
    "fax": ("+FCON", "+FCO"), "sender": ("+FTSI: ", "+FTI:"), "parameters": ("+FDCS: ", "+FCS:"),
    "status": ("+FPTS: ", "+FPS:"), "hangup": ("+FHNG: ", "+FHS:"), "set_status": ("FPTS", "FPS"),
    "abort": ("FK", "FKS"),
}


def strips(path):
    """The coded pages of a TIFF, a strip each, the first bit on the line lowest in its octet."""
    with open(path, "rb") as file:
        data = file.read()
    order = "<" if data[:2] == b"II" else ">"
    at, pages = struct.unpack_from(order + "I", data, 4)[0], []
    while at:
        count, tags = struct.unpack_from(order + "H", data, at)[0], {}
        for i in range(count):
            tag, kind, number, value = struct.unpack_from(order + "HHI4s", data, at + 2 + 12 * i)
            tags[tag] = struct.unpack(order + ("H2x" if kind == 3 else "I"), value)[0]
        page = data[tags[273]:tags[273] + tags[279]]
        pages.append(page if tags.get(266, 1) == 2 else reversed_bits(page))
        at = struct.unpack_from(order + "I", data, at + 2 + 12 * count)[0]
    return pages


def reversed_bits(octets):
    return bytes(int(f"{octet:08b}"[::-1], 2) for octet in octets)


class Class2Modem:
    """A modem at .device that takes whatever it is told, rings at ring(), and gives the pages of a
    TIFF in T.4 1-D to who answers. What it was told is in .commands; .refused counts pages."""

    def __init__(self, box, name, document, class_20=False, reverse=False, breaks_in=0):
        self.name, self.class_20, self.reverse = name, class_20, reverse
        self.pages, self.breaks_in = strips(document), breaks_in
        self.device = box.path(name)
        need_ptys()
        self.fd, self.slave = pty.openpty()
        tty.setraw(self.slave)
        os.symlink(os.ttyname(self.slave), self.device)
        self.state = box.path("gateway/state")
        self.commands, self.stored_when_confirmed = [], []
        self.ringing, self.status, self.page, self.ended = False, 1, 0, threading.Event()
        self.stops = False
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        box.closers.append(self.stop)

    def settings(self, **keys):
        return {"type": "modem", "device": self.device, "rings": "1", "flow": "none", **keys}

    def stop(self):
        self.stops = True
        self.thread.join(10)
        os.close(self.slave)
        os.close(self.fd)

    def ring(self):
        self.ringing = True

    # -- what it says

    def _word(self, name):
        return NAMES[name][self.class_20]

    def _say(self, *lines):
        os.write(self.fd, b"".join(b"\r\n" + line.encode() + b"\r\n" for line in lines))

    def _say_page(self, octets, cut):
        if self.reverse:
            octets = reversed_bits(octets)
        if cut:
            octets = octets[:len(octets) // 2]
        octets = octets.replace(bytes([DLE]), bytes([DLE, DLE])) + bytes([DLE, ETX])
        for i in range(0, len(octets), 180):  # 14400 bit/s
            os.write(self.fd, octets[i:i + 180])
            time.sleep(0.1)

    # -- what it hears

    def _read(self, seconds):
        os.set_blocking(self.fd, False)
        try:
            return os.read(self.fd, 1)
        except BlockingIOError:
            time.sleep(seconds)
            return b""
        finally:
            os.set_blocking(self.fd, True)

    def _serve(self):
        command, rang = b"", 0
        while not self.stops:
            octet = self._read(0.01)
            if octet in (bytes([DC1]), bytes([DC2])):
                self._transfer()
            elif octet == b"\r":
                self._take(command.decode())
                command = b""
            elif octet and octet[0] >= 32:
                command += octet
            if self.ringing and time.monotonic() - rang > 2:
                rang = time.monotonic()
                self._say("RING")

    def _take(self, command):
        self.commands.append(command)
        name = command[2:].lstrip("+")
        if name == "A" and self.ringing:
            self.ringing = False
            self._answer()
        elif name == "FDR":
            self._receive()
        elif name.startswith(self._word("set_status") + "="):
            self.status = int(name[-1])
            self._say("OK")
        elif name == self._word("abort"):
            self._hang_up("2")
        elif name == "FCLASS=?":
            self._say("0,2.0" if self.class_20 else "0,2", "OK")
        elif name in ("FDCC=?", "FCC=?"):
            self._say("(0,1),(0-5),(0-2),(0-2),(0,1),(0-2),(0),(0-7)", "OK")
        elif name.endswith("=?"):
            self._say("ERROR")
        else:
            self._say("OK")

    def _answer(self):
        time.sleep(1)
        self._say(self._word("fax"))
        self._say(self._word("sender") + '"      +1 555 9000    "')
        self._say(self._word("parameters") + "1,5,0,2,0,0,0,0", "OK")

    def _receive(self):
        if self.page > 0 and self.status == 1:
            self.stored_when_confirmed.append(len(self._stored()))
        if self.page == len(self.pages):
            time.sleep(0.5)
            self._hang_up("0" if not self.class_20 else "00")
        else:
            time.sleep(0.5)
            self._say("CONNECT")

    def _transfer(self):
        self.page += 1
        self._say_page(self.pages[self.page - 1], self.page == self.breaks_in)
        self.status = 1
        if self.page == self.breaks_in:
            self._hang_up("91")
            return
        rows = "190" if self.class_20 else "400"  # hexadecimal in 2.0
        self._say(self._word("status") + "1," + rows,
                  f"+FET:{2 if self.page == len(self.pages) else 0}", "OK")

    def _hang_up(self, code):
        self._say(self._word("hangup") + code, "OK")
        self.page = 0
        self.ended.set()

    def _stored(self):
        """Pages of this modem's call that are durable."""
        for folder in glob.glob(os.path.join(self.state, "incoming", "*")):
            with open(os.path.join(folder, "call.ini")) as file:
                if f"line = {self.name}\n" in file.read():
                    return glob.glob(os.path.join(folder, "page-*.tif"))
        return []


def document_of(box, name, seed):
    return box.document(f"sent-{name}.tif", p=2, k="text", c="1d", s=seed, l=400)


@timeout(180)
def test_class_2_and_2_0(box):
    """Two pages each; one modem turns the bits around. No page was confirmed before it was stored."""
    sent = {"desk": document_of(box, "desk", 1), "hall": document_of(box, "hall", 7)}
    modems = [Class2Modem(box, "desk", sent["desk"], reverse=True),
              Class2Modem(box, "hall", sent["hall"], class_20=True)]
    gateway = modem_gateway(box, modems)
    for modem in modems:
        modem.ring()
    for line, mail in by_line(gateway.mails(2, 90)).items():
        assert mail.images() == images(sent[line]), f"{line}: the pages differ"
        assert mail["X-Faxpost-Verdict"] == "complete", mail["X-Faxpost-Verdict"]
        assert mail["X-Faxpost-Station"] == "+1 555 9000", mail["X-Faxpost-Station"]
    for modem in modems:
        assert modem.stored_when_confirmed == [1, 2], modem.stored_when_confirmed


@timeout(180)
def test_class_2_breaks_off(box):
    """In the middle of page 2: page 1 is mailed as a partial fax, and the next fax is whole."""
    document = document_of(box, "desk", 3)
    modem = Class2Modem(box, "desk", document, breaks_in=2)
    gateway = modem_gateway(box, [modem])
    modem.ring()
    check_partial(gateway.mails(1, 90)[0], images(document), 1)
    modem.breaks_in = 0
    modem.ring()
    assert gateway.mails(2, 90)[1].images() == images(document), "the pages differ"
