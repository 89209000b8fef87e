// The page: which branches there are, which one is shown alone, and the keys.

import { Tile } from "/tile.js";

const ZOOMS = ["fit", "1", "2"];
const get = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search).get("show");
const wanted = asked ? new Set(asked.split(",")) : null;
const tiles = new Map(); // by name, in the order of the server
let chosen = null; // the name of the branch that is shown alone
let viewOnly = false;

function show(branches) {
  const listed = branches.filter((branch) => !wanted || wanted.has(branch.name));
  const names = new Set(listed.map((branch) => branch.name));
  for (const [name, tile] of [...tiles]) {
    if (!names.has(name)) {
      tile.remove();
      tiles.delete(name);
      say(`${name} is gone`);
    }
  }
  for (const branch of listed) {
    let tile = tiles.get(branch.name);
    if (!tile) {
      tile = new Tile(branch.name, toggle);
      tile.setViewOnly(viewOnly);
      get("tiles").append(tile.element);
    } else if (tile.branch.state !== branch.state) {
      say(`${branch.name}: ${branch.state}`);
    }
    // Delete and set: the order of the map follows the server's.
    tiles.delete(branch.name);
    tiles.set(branch.name, tile);
    tile.update(branch);
  }
  order();
  if (chosen !== null && !tiles.has(chosen)) {
    chosen = null;
  }
  arrange();
}

// Put the elements into the order of the map, moving only those that are out of place: a moved
// element loses the keyboard.
function order() {
  let place = get("tiles").firstElementChild;
  for (const tile of tiles.values()) {
    if (tile.element === place) {
      place = place.nextElementSibling;
    } else {
      get("tiles").insertBefore(tile.element, place);
    }
  }
}

function arrange() {
  const single = chosen !== null;
  get("tiles").dataset.view = single ? "single" : "grid";
  get("tiles").dataset.count = tiles.size;
  get("back").hidden = !single || tiles.size < 2;
  get("zoom-label").hidden = !single;
  get("empty").hidden = tiles.size > 0;
  for (const [name, tile] of tiles) {
    tile.element.classList.toggle("chosen", name === chosen);
    tile.button.setAttribute("aria-expanded", String(name === chosen));
  }
  const buttons = [...tiles].map(([name, tile], index) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.dataset.branch = name;
    button.title = index < 9 ? `Ctrl+Alt+${index + 1}` : "";
    button.setAttribute("aria-current", String(name === chosen));
    button.addEventListener("click", () => toggle(name));
    item.append(button);
    return item;
  });
  const had = document.activeElement?.closest("#names button")?.dataset.branch;
  get("names").replaceChildren(...buttons);
  if (had !== undefined) {
    buttons.find((item) => item.firstChild.dataset.branch === had)?.firstChild.focus();
  }
  const title = chosen ?? [...tiles.keys()].join(", ");
  document.title = title ? `${title} · tcvs` : "tcvs";
}

function toggle(name) {
  choose(chosen === name ? null : name);
}

// Show `name` alone and give it the keyboard; null: show all.
function choose(name) {
  releaseKeys();
  const before = chosen;
  chosen = name;
  arrange();
  if (name !== null) {
    tiles.get(name).focus();
  } else if (before !== null) {
    tiles.get(before)?.button.focus();
  }
}

function step(distance) {
  const names = [...tiles.keys()];
  if (names.length) {
    const here = chosen ?? document.activeElement?.closest(".tile")?.dataset.branch;
    const at = here === undefined ? (distance > 0 ? -1 : 0) : names.indexOf(here);
    choose(names[(at + distance + names.length) % names.length]);
  }
}

function setViewOnly(on) {
  releaseKeys();
  viewOnly = on;
  get("view-only").setAttribute("aria-pressed", String(on));
  for (const tile of tiles.values()) {
    tile.setViewOnly(on);
  }
  say(on ? "View only" : "Input goes to the desktops");
}

function setZoom(zoom) {
  get("zoom").value = zoom;
  get("tiles").dataset.zoom = zoom;
}

function say(text) {
  get("said").textContent = text;
}

function warn(text) {
  get("notice").textContent = text;
  get("notice").hidden = !text;
}

// The keyboard is about to go elsewhere: noVNC lets go of every key that it holds down when the
// window loses the focus, or else Ctrl and Alt would stay pressed in the desktop.
function releaseKeys() {
  window.dispatchEvent(new Event("blur"));
}

function shortcut(event) {
  // AltGr is Ctrl+Alt on some systems, and AltGr+digit writes characters.
  if (!event.ctrlKey || !event.altKey || event.metaKey || event.getModifierState("AltGraph")) {
    return null;
  }
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code)?.[1];
  if (digit === "0") {
    return () => (chosen === null ? leave() : choose(null));
  }
  if (digit) {
    const name = [...tiles.keys()][digit - 1];
    return name === undefined ? null : () => choose(name);
  }
  switch (event.code) {
    case "PageUp":
      return () => step(-1);
    case "PageDown":
      return () => step(1);
    case "KeyV":
      return () => setViewOnly(!viewOnly);
    case "KeyZ":
      return () => setZoom(ZOOMS[(ZOOMS.indexOf(get("zoom").value) + 1) % ZOOMS.length]);
    default:
      return null;
  }
}

// Take the keyboard away from the desktop that has it.
function leave() {
  releaseKeys();
  const name = document.activeElement?.closest(".tile")?.dataset.branch;
  tiles.get(name)?.button.focus();
}

window.addEventListener(
  "keydown",
  (event) => {
    const action = shortcut(event);
    if (action) {
      event.preventDefault();
      event.stopImmediatePropagation();
      action();
    }
  },
  { capture: true },
);
get("back").addEventListener("click", () => choose(null));
get("zoom").addEventListener("change", () => setZoom(get("zoom").value));
get("view-only").addEventListener("click", () => setViewOnly(!viewOnly));
get("help").addEventListener("click", () => get("keys").showModal());

const events = new EventSource("/api/events");
events.addEventListener("message", (event) => {
  warn("");
  show(JSON.parse(event.data).branches);
});
events.addEventListener("error", () => {
  // Nothing is known of any branch now: none may look live.
  for (const tile of tiles.values()) {
    tile.update({ ...tile.branch, state: tile.branch.state === "live" ? "lost" : tile.branch.state });
  }
  if (events.readyState === EventSource.CLOSED) {
    warn("This viewer has ended. Run “tcvs view” for a new link.");
  } else {
    warn("The connection to tcvs is lost; trying again…");
  }
});
