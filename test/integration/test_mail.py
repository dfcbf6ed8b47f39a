# SPDX-License-Identifier: MIT
"""The mail as other programs read it: Python's parser, munpack, qpdf, libtiff's tools."""

import glob
import os
import re
import shutil
import subprocess
import sys

import folder
from harness import BUILD, Skip, images, pdf_images, run, timeout


@timeout(120)
def test_mail_as_others_read_it(box):
    gateway = box.gateway(settings={"route all": {
        "called": "5552*", "to": "sales@example.com, office@example.com", "attach": "both"}})
    document = box.document(p=2, k="letter", l=1400)
    result = box.call(gateway, document, number="5552100", t38="redundancy", station="+1 555 1234",
                      **{"from": "+15551234"})[0]
    assert result["ok"], result
    mails = gateway.mails(2)
    assert mails[0]["Message-ID"] == mails[1]["Message-ID"]
    mail = mails[0]
    check_headers(mail)
    check_structure(mail)
    check_files(box, mail, document)


def check_headers(mail):
    assert mail["From"] == "Fax from +15551234 <faxpost@fax.example.com>", mail["From"]
    assert "sales@example.com" in mail["To"] and "office@example.com" in mail["To"], mail["To"]
    assert mail["Subject"] == "Fax from +15551234, 2 pages", mail["Subject"]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@fax.example.com>"), mail["Message-ID"]
    assert mail["Date"].datetime is not None
    for word in ("+15551234", "5552100", "2 pages"):
        assert word in mail.text, f"no {word!r} in: {mail.text}"
    assert all(len(line) <= 998 for line in mail.octets.split(b"\r\n"))


def check_structure(mail):
    kinds = [part.get_content_type() for part in mail.message.walk()]
    assert kinds == ["multipart/mixed", "multipart/alternative", "text/plain", "multipart/related",
                     "text/html", "image/png", "application/pdf", "image/tiff"], kinds
    assert mail.parts("image/tiff")[0].get_param("application") == "faxbw"
    picture = mail.parts("image/png")[0]
    assert picture["Content-ID"].strip("<>") in mail.html, "the picture is not shown"
    assert picture.get_payload(decode=True).startswith(b"\x89PNG\r\n")
    assert len(picture.get_payload(decode=True)) < 60000
    for kind in ("application/pdf", "image/tiff"):
        name = mail.parts(kind)[0].get_filename()
        assert re.fullmatch(r"[A-Za-z0-9.+-]+", name), name


def check_files(box, mail, document):
    pdf, tiff = mail.save("application/pdf"), mail.save("image/tiff")
    run(["qpdf", "--check", pdf])
    assert mail.images() == images(document) == images(tiff)
    assert "CCITT" in run(["tiffinfo", tiff])
    os.mkdir(box.path("munpack"))
    box.write("munpack/mail", mail.octets.decode("ascii"))
    run(["munpack", "-q", "-t", "mail"], cwd=box.path("munpack"))
    contents = [open(name, "rb").read() for name in glob.glob(box.path("munpack/*"))]
    for path in (pdf, tiff):
        assert open(path, "rb").read() in contents, f"munpack did not find {path}"


def test_export(box):
    """faxpost export gives the document and the message of a fax that was delivered."""
    gateway = box.gateway()
    sources = folder.pages_of(box, 3)
    fax_id = folder.put(gateway, sources)
    gateway.mails(1)
    pages = [page for path in sources for page in images(path)]
    for name in ("fax.pdf", "fax.tiff", "fax.eml"):
        reply = gateway.faxpost("export", fax_id, "-o", box.path(name))
        assert reply["bytes"] == os.path.getsize(box.path(name)), reply
    assert pdf_images(box.path("fax.pdf")) == pages == images(box.path("fax.tiff"))
    mail = open(box.path("fax.eml"), "rb").read()
    assert b"Content-Type: multipart/mixed" in mail
    assert gateway.faxpost("export", "nosuchfax", "-o", box.path("none.pdf"), check=False) is None
    assert not os.path.exists(box.path("none.pdf"))


@timeout(120)
def test_names_that_would_harm(box):
    """A caller's name and identity full of tricks: no header, no path, no line of the log is theirs."""
    gateway = box.gateway()
    document = box.document(p=1, k="text", l=500)
    result = box.call(gateway, document, t38="redundancy", station="%0d%0aBcc:a@b", sender="$(id)",
                      **{"from": "..%2f..%2fetc%0d%0aBcc%3aevil/x\\r\\nBcc: evil"})[0]
    assert result["ok"], result
    mail = gateway.mails(1)[0]
    assert mail["Bcc"] is None
    assert len(mail.message.get_all("Subject")) == 1
    for part in mail.message.walk():
        if part.get_filename():
            assert "/" not in part.get_filename() and ".." not in part.get_filename()
    assert not re.search(r"^Bcc", gateway.log(), re.M)
    assert mail.images() == images(document)


@timeout(120)
def test_profile_s_and_tiff_only(box):
    gateway = box.gateway(settings={"route s": {"called": "*", "to": "s@example.com",
                                                "attach": "tiff", "profile": "S"}})
    document = box.document(p=2, k="text", l=500)
    assert box.call(gateway, document, t38="redundancy")[0]["ok"]
    mail = gateway.mails(1)[0]
    tiff = mail.save("image/tiff")
    assert not mail.parts("application/pdf")
    assert images(tiff) == images(document)
    report = run(["tiffinfo", tiff])
    # RFC 3949 section 3: T.4 1-D alone, least significant bit first, little-endian.
    assert report.count("CCITT Group 3") == 2 and "2-d encoding" not in report, report
    assert report.count("FillOrder: lsb-to-msb") == 2, report
    assert open(tiff, "rb").read(4) == b"II*\0"


@timeout(120)
def test_an_unprivileged_user_can_run_it(box):
    """From a folder of their own, as nobody, with nothing of the system's."""
    if os.geteuid() != 0:
        raise Skip("all tests of this run show it")
    os.chmod(box.folder, 0o777)
    for name in ("src/faxpostd", "src/faxpost", "test/tools/faxcall", "test/tools/genpage",
                 "test/tools/tiffpixels"):  # the tree may be where nobody can look
        os.makedirs(os.path.dirname(box.path("build", name)), exist_ok=True)
        shutil.copy(os.path.join(BUILD, name), box.path("build", name))
    for path in glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "*.py")):
        shutil.copy(path, box.folder)
    script = ("import harness; box = harness.Box(%r)\n"
              "gateway = box.gateway()\n"
              "document = box.document(p=1, k='text', l=500)\n"
              "assert box.call(gateway, document)[0]['ok']\n"
              "mail = gateway.mails(1)[0]\n"
              "assert mail.images() == harness.images(document)\n"
              "box.close()\n" % box.folder)
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                           python, "-c", script], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, cwd=box.folder,
                          env=dict(os.environ, HOME=box.folder, BUILD_DIR=box.path("build")))
    assert done.returncode == 0, done.stderr
    assert os.stat(box.path("gateway")).st_uid == 65534
