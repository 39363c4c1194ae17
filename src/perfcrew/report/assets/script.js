"use strict";
// A flame graph that is walked by arrow keys and zoomed by Enter; without this script it is a still picture.
for (const flame of document.querySelectorAll(".flame")) {
  const boxes = [...flame.children].map((node) => ({
    node, left: +node.dataset.left, width: +node.dataset.width, depth: +node.dataset.depth,
  }));
  const said = flame.parentElement.querySelector(".flame-said");
  const inside = (a, b) => a.left >= b.left - 1e-6 && a.left + a.width <= b.left + b.width + 1e-6;
  let base = null;
  function zoom(box) {
    base = box;
    for (const one of boxes) {
      const from = box ? box.left : 0, wide = box ? box.width : 100;
      const shown = !box || inside(one, box) || (one.depth < box.depth && inside(box, one));
      const above = box && one.depth < box.depth;
      one.node.hidden = !shown;
      one.node.style.left = (above ? 0 : (one.left - from) / wide * 100) + "%";
      one.node.style.width = (above ? 100 : one.width / wide * 100) + "%";
    }
    if (said) said.textContent = box ? box.node.title : "";
  }
  function focus(box) {
    if (!box || box.node.hidden) return;
    for (const one of boxes) one.node.tabIndex = -1;
    box.node.tabIndex = 0;
    box.node.focus();
    if (said) said.textContent = box.node.title;
  }
  function neighbour(box, key) {
    const seen = boxes.filter((one) => !one.node.hidden);
    if (key === "ArrowDown") return seen.find((one) => one.depth === box.depth + 1 && inside(one, box));
    if (key === "ArrowUp") return seen.find((one) => one.depth === box.depth - 1 && inside(box, one));
    const level = seen.filter((one) => one.depth === box.depth).sort((a, b) => a.left - b.left);
    return level[level.indexOf(box) + (key === "ArrowRight" ? 1 : -1)];
  }
  flame.addEventListener("click", (event) => {
    const box = boxes.find((one) => one.node === event.target.closest("button"));
    if (box) { zoom(base === box ? null : box); focus(box); }
  });
  flame.addEventListener("keydown", (event) => {
    const box = boxes.find((one) => one.node === document.activeElement);
    if (!box) return;
    if (event.key.startsWith("Arrow")) { event.preventDefault(); focus(neighbour(box, event.key)); }
    if (event.key === "Escape") { zoom(null); focus(box); }
  });
}
// A number's link leads into a closed list of evidence: open it.
function reveal() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let at = target && target.parentElement; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  if (target) target.scrollIntoView({ block: "center" });
}
addEventListener("hashchange", reveal);
if (location.hash) reveal();
// On paper everything is open.
let closed = [];
addEventListener("beforeprint", () => { closed = [...document.querySelectorAll("details:not([open])")]; closed.forEach((d) => { d.open = true; }); });
addEventListener("afterprint", () => closed.forEach((d) => { d.open = false; }));
