"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.tHead.rows[0].querySelectorAll("th").forEach((head, column) => {
    head.querySelector("button")?.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
      const empty = (value) => value === "" || value === "nan";
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (empty(x) || empty(y)) return empty(x) - empty(y);
        const order = Number.isNaN(Number(x)) || Number.isNaN(Number(y)) ? x.localeCompare(y, undefined, { numeric: true }) : x - y;
        return down ? -order : order;
      });
      body.append(...rows);
    });
  });
}
const curves = JSON.parse(document.getElementById("curves").textContent);
const W = 800, H = 150, LEFT = 46, RIGHT = 754, TOP = 22, BOTTOM = 126;
function node(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
function draw(panel) {
  const picture = node("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": panel.title });
  picture.append(node("text", { x: LEFT, y: 13 }, panel.title));
  panel.missing.forEach(([from, to]) => picture.append(node("rect", {
    class: "missing", x: LEFT + (RIGHT - LEFT) * from, y: TOP, width: (RIGHT - LEFT) * (to - from), height: BOTTOM - TOP })));
  panel.lines.forEach((line, index) => {
    const colour = index ? "second" : "first";
    const values = Uint8Array.from(atob(line.data), (letter) => letter.charCodeAt(0));
    let path = "", pen = "M";
    values.forEach((value, i) => {
      if (value === 255) { pen = "M"; return; }
      const x = LEFT + (RIGHT - LEFT) * (i + 0.5) / values.length, y = BOTTOM - (BOTTOM - TOP) * value / 254;
      path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`; pen = "L";
    });
    picture.append(node("path", { class: colour, d: path }));
    const edge = index ? { x: RIGHT + 4, "text-anchor": "start" } : { x: LEFT - 4, "text-anchor": "end" };
    picture.append(node("text", { ...edge, y: TOP + 8, class: colour }, line.high), node("text", { ...edge, y: BOTTOM, class: colour }, line.low));
    picture.append(node("text", { x: RIGHT - 210 * (panel.lines.length - 1 - index), y: 13, "text-anchor": "end", class: colour }, line.label));
  });
  picture.append(node("rect", { class: "frame", x: LEFT, y: TOP, width: RIGHT - LEFT, height: BOTTOM - TOP }));
  picture.append(node("text", { x: LEFT, y: H - 8 }, "0 s"), node("text", { x: RIGHT, y: H - 8, "text-anchor": "end" }, `${panel.seconds} s`));
  return picture;
}
for (const details of document.querySelectorAll("details[data-curves]")) {
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(...curves[details.dataset.curves].map(draw));
  });
}
