"""The documents that the demo works on, made here byte by byte so that it can check them.

``plan.odt`` is a real OpenDocument text: a zip archive whose first member is ``mimetype``, stored
and not compressed, beside ``content.xml``, ``styles.xml`` and the manifest (OpenDocument 1.3,
part 2, chapter 3).
"""

from __future__ import annotations

import io
import re
import zipfile
from html import unescape

FOLDER = "/home/user/Documents"
REPORT = f"{FOLDER}/report.txt"
PLAN = f"{FOLDER}/plan.odt"
PAGE = f"{FOLDER}/votes.html"
NOTES = f"{FOLDER}/notes.txt"
LAYOUT = "/home/user/.config/labwc/rc.xml"
SETTINGS = "/home/user/.config/glib-2.0/settings/keyfile"

#: Settings of the editor: a new line begins as the one above; files are read again when told to.
SETTINGS_TEXT = """\
[org/xfce/mousepad/preferences/view]
auto-indent=true

[org/xfce/mousepad/preferences/file]
monitor-changes=false
"""

#: The colour of the page's button, found on the screen to know where to click.
BUTTON = (0xC2, 0x18, 0x5B)
#: The page's background by the number of votes.
COLOURS = ("#fdf6e3", "#d7efd7", "#d6e6fb", "#fbe3c8")

REPORT_TEXT = """\
The school garden
=================

Where we are
  Twelve beds are dug, six are planted.
  The old pump works again.

What is open
  The path to the gate.
  Who waters in August?

Signed
  The garden group
"""

_PLAN_TEXT = (
    "Three ideas for the empty half of the garden are on the table. Each is worth trying; only "
    "one of them will be built.",
    "The beds stay where they are. Whatever comes must leave a path for the "
    "wheelbarrow and must not shade the greenhouse before noon.",
    "Decision of the group:",
)

_NAMESPACES = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" '
    'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" office:version="1.3"'
)
_ODT = "application/vnd.oasis.opendocument.text"


def plan() -> bytes:
    """Return the OpenDocument text."""
    body = '<text:h text:style-name="Title">A plan for the empty half</text:h>'
    body += "".join(f'<text:p text:style-name="Body">{text}</text:p>' for text in _PLAN_TEXT)
    content = (
        f"<office:document-content {_NAMESPACES}><office:body><office:text>{body}"
        "</office:text></office:body></office:document-content>"
    )
    styles = f"<office:document-styles {_NAMESPACES}><office:styles>" + "".join(
        f'<style:style style:name="{name}" style:family="paragraph">'
        f'<style:paragraph-properties fo:margin-bottom="0.4cm"/><style:text-properties '
        f'style:font-name="Liberation Sans" fo:font-family="Liberation Sans" '
        f'fo:language="en" fo:country="US" fo:font-size="{size}" fo:font-weight="{weight}"/>'
        "</style:style>"
        for name, size, weight in (("Title", "24pt", "bold"), ("Body", "14pt", "normal"))
    )
    styles += (
        '</office:styles><office:automatic-styles><style:page-layout style:name="Sheet">'
        '<style:page-layout-properties fo:page-width="17cm" fo:page-height="24cm" '
        'fo:margin="1.8cm"/></style:page-layout></office:automatic-styles><office:master-styles>'
        '<style:master-page style:name="Standard" style:page-layout-name="Sheet"/>'
        "</office:master-styles></office:document-styles>"
    )
    manifest = f'<manifest:manifest {_NAMESPACES} manifest:version="1.3">'.replace(
        ' office:version="1.3"', ""
    )
    for path, kind in (("/", _ODT), ("content.xml", "text/xml"), ("styles.xml", "text/xml")):
        manifest += (
            f'<manifest:file-entry manifest:full-path="{path}" manifest:media-type="{kind}"/>'
        )
    manifest += "</manifest:manifest>"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        # A ZipInfo has a fixed date: the same bytes every time.
        archive.writestr(zipfile.ZipInfo("mimetype"), _ODT, zipfile.ZIP_STORED)
        for name, text in (
            ("content.xml", content),
            ("styles.xml", styles),
            ("META-INF/manifest.xml", manifest),
        ):
            whole = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'
            archive.writestr(zipfile.ZipInfo(name), whole, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def plan_text(data: bytes) -> str:
    """Return the plain text of an OpenDocument text, a line a paragraph; "" where it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            content = archive.read("content.xml").decode()
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError):
        return ""
    content = content.partition("<office:text")[2]
    content = re.sub(r"</text:(p|h)>", "\n", content)
    return unescape(re.sub(r"<[^>]*>", "", "<" + content)).strip()


def page() -> str:
    """Return the web page: a button that counts votes and changes the colour, and a long text."""
    rows = "".join(
        f"<section><h2>Idea {number}</h2><p>{text}</p></section>"
        for number, text in enumerate(
            (
                "A pond for frogs, one metre deep, with a fence around it.",
                "A row of apple trees along the wall.",
                "A stage of old pallets for summer evenings.",
                "More beds. There is always somebody who wants one.",
                "Nothing at all: a meadow, mown twice a year.",
                "A shed for bicycles, with a roof that grows.",
            ),
            1,
        )
    )
    colours = ", ".join(f'"{colour}"' for colour in COLOURS)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Votes: 0</title>
<style>
  body {{ font: 18px sans-serif; margin: 20px 28px; background: {COLOURS[0]}; color: #23303d }}
  h1 {{ margin: 0 0 12px; font-size: 26px }}
  button {{ font: bold 18px sans-serif; padding: 12px 28px; border: 0; border-radius: 0;
            background: rgb{BUTTON}; color: white }}
  section {{ margin: 22px 0; padding: 2px 18px 8px; background: #ffffffb0 }}
</style>
<h1>Votes for the garden: <span id="count">0</span></h1>
<button id="vote">Vote</button>
{rows}
<script>
  const colours = [{colours}];
  let count = 0;
  document.getElementById("vote").onclick = () => {{
    count += 1;
    document.getElementById("count").textContent = count;
    document.title = "Votes: " + count;
    document.body.style.background = colours[count % colours.length];
  }};
</script>
</html>
"""
