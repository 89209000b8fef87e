// One branch: its frame in the page, and its connection, which comes and goes with freezes.

import RFB from "/novnc/core/rfb.js";

const WORDS = { live: "live", frozen: "frozen", stopped: "stopped", lost: "reconnecting" };
const VEILS = {
  frozen: "Frozen for a moment…",
  stopped: "Stopped",
  lost: "Connecting again…",
};
const RETRY_FIRST_MS = 100;
const RETRY_LAST_MS = 3000;

export class Tile {
  // `onOpen(name)` is called when the user asks for this branch alone.
  constructor(name, onOpen) {
    this.name = name;
    this.branch = null;
    this.viewOnly = false;
    this.rfb = null;
    this.retryMs = RETRY_FIRST_MS;
    this.timer = null;
    this.hadKeyboard = false;
    const template = document.getElementById("tile");
    this.element = template.content.firstElementChild.cloneNode(true);
    this.element.dataset.branch = name;
    this.part = (selector) => this.element.querySelector(selector);
    this.button = this.part(".name");
    this.part(".label").textContent = name;
    this.button.title = "Show this branch alone";
    this.button.addEventListener("click", () => onOpen(name));
  }

  // Take over what the server says of this branch; connect or let go accordingly.
  update(branch) {
    const before = this.branch;
    this.branch = branch;
    this.element.dataset.state = branch.state;
    this.part(".badge").textContent = WORDS[branch.state];
    this.part(".current").hidden = !branch.current;
    this.part(".veil-text").textContent = VEILS[branch.state] ?? "";
    if (branch.screen) {
      this.shape(...branch.screen);
    }
    if (branch.state !== "live") {
      this.letGo();
    } else if (before?.state !== "live" || before.generation !== branch.generation) {
      this.letGo();
      this.retryMs = RETRY_FIRST_MS;
      this.connect();
    }
  }

  shape(width, height) {
    const style = this.element.style;
    style.setProperty("--shape", `${width} / ${height}`);
    style.setProperty("--ratio", width / height);
    style.setProperty("--width", width);
  }

  connect() {
    const url = new URL(`/ws/${encodeURIComponent(this.name)}`, location.href);
    url.protocol = "ws:";
    const rfb = new RFB(this.part(".live"), url.href, { shared: true });
    this.rfb = rfb;
    // Transparent until the first picture is there, so that the last one stays to be seen.
    rfb.background = "transparent";
    rfb.scaleViewport = true;
    rfb.viewOnly = this.viewOnly;
    // Keys go by what they write, not by where they lie on the keyboard: the desktop's layout is
    // US, the user's is any.  noVNC has no public switch for this; without it, it still works.
    Object.defineProperty(rfb, "_qemuExtKeyEventSupported", { get: () => false, set() {} });
    const canvas = this.part(".live canvas");
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", `Desktop of ${this.name}`);
    rfb.addEventListener("connect", () => {
      this.retryMs = RETRY_FIRST_MS;
      this.element.dataset.connected = "";
      if (this.hadKeyboard && document.activeElement === document.body) {
        rfb.focus({ preventScroll: true });
      }
      this.hadKeyboard = false;
    });
    rfb.addEventListener("disconnect", () => {
      if (this.rfb === rfb) {
        this.rfb = null;
        this.keep(canvas);
        this.again();
      }
    });
    rfb.addEventListener("securityfailure", (event) => console.warn(event.detail.reason));
  }

  // End the connection on purpose.
  letGo() {
    clearTimeout(this.timer);
    this.timer = null;
    const rfb = this.rfb;
    if (rfb) {
      this.rfb = null;
      this.keep(this.part(".live canvas"));
      rfb.disconnect();
    }
  }

  // Keep the last picture to be seen, and remember who had the keyboard.
  keep(canvas) {
    delete this.element.dataset.connected;
    if (canvas === document.activeElement) {
      this.hadKeyboard = true;
    }
    if (!drawn(canvas)) {
      return;
    }
    const copy = document.createElement("canvas");
    copy.width = canvas.width;
    copy.height = canvas.height;
    copy.getContext("2d").drawImage(canvas, 0, 0);
    this.part(".last").replaceChildren(copy);
  }

  again() {
    if (this.branch.state !== "live" || this.timer) {
      return;
    }
    this.timer = setTimeout(() => {
      this.timer = null;
      this.connect();
    }, this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, RETRY_LAST_MS);
  }

  setViewOnly(on) {
    this.viewOnly = on;
    if (this.rfb) {
      this.rfb.viewOnly = on;
    }
  }

  // Give the keyboard to the desktop.
  focus() {
    if (this.rfb && !this.viewOnly) {
      this.rfb.focus({ preventScroll: true });
    } else {
      this.button.focus();
    }
  }

  remove() {
    this.branch = { state: "stopped" };
    this.letGo();
    this.element.remove();
  }
}

// Whether there is a picture on `canvas`; it is transparent until the first one has come.
function drawn(canvas) {
  if (!canvas?.width || !canvas?.height) {
    return false;
  }
  const middle = [Math.floor(canvas.width / 2), Math.floor(canvas.height / 2)];
  return canvas.getContext("2d").getImageData(...middle, 1, 1).data[3] > 0;
}
