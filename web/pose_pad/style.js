// How the pad looks; colours follow the page's palette.
const RULES = `
.emv2-pad { box-sizing: border-box; width: 100%; height: 100%; min-height: 0; display: flex; flex-direction: column;
  gap: 6px; padding: 6px; font: 12px/1.3 system-ui, "PingFang SC", "Microsoft YaHei", sans-serif;
  color: var(--input-text, #ddd); background: var(--comfy-menu-bg, #26282d); border-radius: 8px; user-select: none; }
.emv2-pad * { box-sizing: border-box; }
.emv2-pad { container-type: inline-size; overflow: hidden auto; }
.emv2-pad-row { display: flex; flex-wrap: wrap; align-items: center; gap: 4px; flex: none; }
.emv2-pad-row select { flex: 1 1 84px; min-width: 84px; max-width: 190px; }
.emv2-pad-row .emv2-pad-rate { flex: none; width: 72px; min-width: 0; padding: 0 2px; }
.emv2-pad-ease { display: flex; align-items: center; gap: 4px; width: 92px; white-space: nowrap; }
@container (max-width: 500px) { .emv2-pad-label { display: none; } }
.emv2-pad-grow { flex: 1; }
.emv2-pad button, .emv2-pad-box { height: 26px; min-width: 26px; padding: 0 7px; border-radius: 6px; font: inherit;
  border: 1px solid var(--border-color, #4a4d55); background: var(--comfy-input-bg, #1b1d21); color: inherit;
  display: inline-flex; align-items: center; justify-content: center; gap: 5px; cursor: pointer; }
.emv2-pad button:hover:not(:disabled) { border-color: #35d0a2; }
.emv2-pad button:disabled { opacity: 0.5; cursor: default; }
.emv2-pad button.on { background: #1f6b57; border-color: #35d0a2; color: #fff; }
.emv2-pad button svg { width: 15px; height: 15px; fill: none; stroke: currentColor; stroke-width: 1.8;
  stroke-linecap: round; stroke-linejoin: round; }
.emv2-pad :focus-visible { outline: 2px solid #35d0a2; outline-offset: 1px; }
.emv2-pad .emv2-pad-stage:focus-visible { outline: 1px solid rgba(53, 208, 162, 0.6); }
.emv2-pad-view { position: relative; flex: 1 1 0; min-height: 260px; }
.emv2-pad-stage { position: absolute; inset: 0; width: 100%; height: 100%; border-radius: 6px; background: #0d0e11;
  touch-action: none; display: block; }
.emv2-pad-note { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 8px; flex: none; min-height: 34px;
  padding: 4px 9px; border-radius: 6px; color: #fff; }
.emv2-pad-note .emv2-pad-grow { flex: 1 1 180px; }
.emv2-pad-note .emv2-pad-row:empty { display: none; }
.emv2-pad-note.bad { background: #7a4a10; }
.emv2-pad-note.info { background: #1e222a; }
.emv2-pad-note button { color: #fff; background: rgba(0, 0, 0, 0.35); border-color: #fff8; }
.emv2-pad-shapes { display: grid; grid-template-columns: repeat(auto-fit, minmax(50px, 1fr)); gap: 4px; flex: none; }
.emv2-pad button.emv2-pad-shape { height: 52px; min-width: 0; padding: 2px; flex-direction: column; gap: 0;
  font-size: 10px; overflow: hidden; white-space: nowrap; }
.emv2-pad button.emv2-pad-shape svg { width: 30px; height: 32px; stroke-width: 4.5; }
.emv2-pad-sliders { display: grid; grid-template-columns: repeat(auto-fit, minmax(100px, 1fr)); gap: 4px 10px;
  flex: none; }
.emv2-pad-slider { display: flex; flex-direction: column; gap: 1px; font-size: 11px; min-width: 0; }
.emv2-pad-slider span { display: flex; justify-content: space-between; gap: 6px; opacity: 0.85; white-space: nowrap;
  overflow: hidden; }
.emv2-pad input[type=range] { width: 100%; height: 16px; margin: 0; accent-color: #35d0a2; cursor: pointer; }
.emv2-pad-off { opacity: 0.5; }
.emv2-pad-time { position: relative; flex: 1 1 80px; height: 30px; border-radius: 6px; cursor: pointer;
  touch-action: none; background: var(--comfy-input-bg, #1b1d21); border: 1px solid var(--border-color, #4a4d55);
  overflow: hidden; }
.emv2-pad-time i { position: absolute; bottom: 0; width: 1px; height: 6px; background: currentColor; opacity: 0.3; }
.emv2-pad-time u { position: absolute; bottom: 7px; font-size: 9px; opacity: 0.55; text-decoration: none;
  transform: translateX(3px); }
.emv2-pad-time s { position: absolute; top: 0; bottom: 0; left: 0; background: #35d0a2; opacity: 0.14; }
.emv2-pad-mark { position: absolute; top: 50%; width: 12px; height: 12px; margin: -6px; border-radius: 2px;
  transform: rotate(45deg); background: #f6c85f; border: 1px solid #1b1d21; cursor: ew-resize; }
.emv2-pad-mark.on { background: #35d0a2; border-color: #fff; }
.emv2-pad-head { position: absolute; top: 0; bottom: 0; width: 2px; margin-left: -1px; background: #ff6b5e;
  pointer-events: none; }
.emv2-pad-clock { min-width: 92px; text-align: right; font-variant-numeric: tabular-nums; opacity: 0.85; }
`;

export function addStyle() {
    if (document.getElementById("emv2-pad-style")) return;
    const style = document.createElement("style");
    style.id = "emv2-pad-style";
    style.textContent = RULES;
    document.head.append(style);
}

const ICONS = {
    undo: "M4 9h10a5 5 0 0 1 0 10H9M4 9l4-4M4 9l4 4",
    redo: "M20 9H10a5 5 0 0 0 0 10h5M20 9l-4-4M20 9l-4 4",
    mirror: "M12 3v18M8 7 3 17h5zM16 7l5 10h-5z",
    copy: "M9 9h11v11H9zM5 15H4V4h11v1",
    longer: "M4 12h16M4 12l4-4M4 12l4 4M20 12l-4-4M20 12l-4 4",
    onion: "M9 5a7 7 0 1 0 0 14A7 7 0 0 0 9 5M13 6a7 7 0 1 1 0 12",
    fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
    find: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.5 15.5 20 20",
    play: "M7 4v16l13-8z",
    stop: "M7 5v14M17 5v14",
    add: "M12 4l8 8-8 8-8-8zM12 9v6M9 12h6",
    remove: "M12 4l8 8-8 8-8-8zM9 12h6",
    gone: "M3 12s3.5-6 9-6 9 6 9 6M4 16h3M17 16h3M12 13v6M9 16l3 3 3-3",
    hide: "M3 12s3.5-6 9-6 9 6 9 6-3.5 6-9 6-9-6-9-6M4 20 20 4",
};

// An element with a class, properties and children.
export function element(tag, className, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    if (className) made.className = className;
    made.append(...children);
    return made;
}

// Greyed, and out of reach of pointer and keyboard.
export function switchOff(one, off) {
    one.inert = off;
    one.classList.toggle("emv2-pad-off", off);
}

export function svgElement(tag, attributes = {}, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
}

export function iconButton(icon, title, onclick, ...children) {
    const button = element("button", "", { type: "button", title, onclick });
    button.setAttribute("aria-label", title);
    setIcon(button, icon);
    button.append(...children);
    return button;
}

export function setIcon(button, icon) {
    if (button.emv2Icon === icon) return;
    button.emv2Icon = icon;
    button.querySelector("svg")?.remove();
    button.prepend(svgElement("svg", { viewBox: "0 0 24 24" }, svgElement("path", { d: ICONS[icon] })));
}
