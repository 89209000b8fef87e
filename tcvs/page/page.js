"use strict";
(() => {
  const ago = (then) => {
    const seconds = Math.max(0, Math.floor((Date.now() - then) / 1000));
    for (const [size, unit] of [[86400, "day"], [3600, "hour"], [60, "minute"]]) {
      const count = Math.floor(seconds / size);
      if (count) return `${count} ${unit}${count > 1 ? "s" : ""} ago`;
    }
    return seconds < 5 ? "just now" : `${seconds} seconds ago`;
  };
  const two = (n) => String(n).padStart(2, "0");
  const tick = () => {
    for (const time of document.querySelectorAll("time")) {
      const then = new Date(time.dateTime);
      const relative = time.querySelector(".ago"), at = time.querySelector(".at");
      if (relative) relative.textContent = ago(then.getTime());
      if (at) at.textContent =
        `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())} ` +
        `${two(then.getHours())}:${two(then.getMinutes())}:${two(then.getSeconds())}`;
    }
  };
  tick();
  setInterval(tick, 30000);

  const viewer = document.getElementById("viewer");
  const large = document.getElementById("large");
  const previous = document.getElementById("previous"), next = document.getElementById("next");
  const thumbs = [...document.querySelectorAll(".thumb")];
  let shown = 0;
  const show = (index) => {
    shown = Math.min(Math.max(index, 0), thumbs.length - 1);
    const thumb = thumbs[shown];
    large.src = thumb.href;
    large.alt = `Screenshot of ${thumb.dataset.caption}`;
    document.getElementById("caption").textContent = thumb.dataset.caption;
    document.getElementById("detail").textContent = thumb.dataset.detail;
    previous.disabled = shown === 0;
    next.disabled = shown === thumbs.length - 1;
  };
  thumbs.forEach((thumb, index) => thumb.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(index);
    viewer.showModal();
  }));
  previous.addEventListener("click", () => show(shown - 1));
  next.addEventListener("click", () => show(shown + 1));
  document.getElementById("close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
  viewer.addEventListener("close", () => { if (thumbs[shown]) thumbs[shown].focus(); });

  const rows = [...document.querySelectorAll(".commit")];
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (viewer.open) {
      if (event.key === "ArrowLeft") show(shown - 1);
      if (event.key === "ArrowRight") show(shown + 1);
      return;
    }
    const active = document.activeElement;
    const at = rows.indexOf(active && active.closest ? active.closest(".commit") : null);
    if (event.key === "j" || event.key === "k") {
      const row = rows[Math.min(Math.max(at + (event.key === "j" ? 1 : -1), 0), rows.length - 1)];
      if (row) { row.focus(); row.scrollIntoView({ block: "nearest" }); }
    } else if (event.key === "o" && at >= 0) {
      const thumb = rows[at].querySelector(".thumb");
      if (thumb) { event.preventDefault(); thumb.click(); }
    } else if (event.key === "d" && at >= 0) {
      const files = rows[at].querySelector("details.files");
      if (files) files.open = !files.open;
    }
  });
})();
