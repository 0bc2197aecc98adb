// Buttons above the picture, and below it the chosen hand: shapes and sliders.
import { HAND_BONES, SIDES, handPoints } from "./figure.js";
import { PRESETS } from "./numbers.js";
import { element, iconButton, svgElement, switchOff } from "./style.js";
import { bendOf, spreadOf, withBend, withSpread } from "./value.js";

const FINGERS = ["thumb", "index", "middle", "ring", "little"];

export function toolbar(state, stage, words, find) {
    const undo = iconButton("undo", words("undo"), () => state.undo());
    const redo = iconButton("redo", words("redo"), () => state.redo());
    const named = (name) => element("span", "emv2-pad-label", { textContent: words(name) });
    const mirror = iconButton("mirror", words("mirrorTip"), () => state.mirror(), named("mirror"));
    const onion = iconButton("onion", words("onionTip"), () => {
        state.onion = !state.onion;
        state.changed();
    }, named("onion"));
    // For fingers, which have no Alt.
    const longer = iconButton("longer", words("longerTip"), () => {
        state.longer = !state.longer;
        state.changed();
    }, named("longer"));
    const fit = iconButton("fit", words("fitTip"), () => stage.fit());
    const handle = element("select", "emv2-pad-box", { title: words("handleTip") });
    handle.setAttribute("aria-label", words("handleTip"));
    handle.onchange = () => {
        const chosen = stage.handles().find((one) => one.id === handle.value);
        if (chosen) stage.choose(chosen);
        stage.canvas.focus({ preventScroll: true });
    };
    const sought = element("span");
    const search = iconButton("find", words("findTip"), find, sought);
    const bar = element("div", "emv2-pad-row", {}, undo, redo, mirror, onion, longer, fit, handle);
    bar.append(element("span", "emv2-pad-grow"), search);
    let shown = "";
    return {
        bar,
        update(busy) {
            undo.disabled = state.history.at === 0;
            redo.disabled = state.history.at === state.history.texts.length - 1;
            mirror.disabled = state.mending || !state.ready;
            search.disabled = Boolean(state.locked) || busy;
            sought.textContent = words(state.mending ? "show" : "find");
            search.title = words(state.mending ? "showTip" : "findTip");
            search.setAttribute("aria-label", search.title);
            onion.classList.toggle("on", state.onion);
            onion.setAttribute("aria-pressed", state.onion);
            longer.classList.toggle("on", state.longer);
            longer.setAttribute("aria-pressed", state.longer);
            const ids = stage.handles().map((one) => one.id);
            if (shown !== `${ids}`) handle.replaceChildren(...ids.map((id) => new Option(words(id), id)));
            shown = `${ids}`;
            handle.value = state.handle;
            handle.disabled = !ids.length;
        },
    };
}

export function handPanel(state, words) {
    const tabs = SIDES.map((name, side) =>
        element("button", "", { type: "button", textContent: words(name), onclick: () => chooseSide(state, side) })
    );
    const named = (name) => element("span", "emv2-pad-label", { textContent: words(name) });
    const hide = iconButton("hide", words("hideTip"), () => state.toggleHidden(), named("hide"));
    const gone = iconButton("gone", words("goneTip"), () => state.toggleGone(), named("gone"));
    const copy = iconButton("copy", words("copyTip"), () => state.copyToOtherHand(), named("copy"));
    const redraw = element("button", "", { type: "button", textContent: words("redraw"), title: words("redrawTip") });
    redraw.onclick = () => {
        state.redraw(state.side);
        state.commit();
    };
    // The person's right hand is on the left of the picture.
    const row = element("div", "emv2-pad-row", {}, tabs[1], tabs[0], hide, gone, copy);
    row.append(element("span", "emv2-pad-grow"), redraw);
    const shapes = element("div", "emv2-pad-shapes");
    shapes.setAttribute("role", "group");
    shapes.setAttribute("aria-label", words("presets"));
    const buttons = Object.keys(PRESETS).map((name) => shapeButton(state, words, name));
    shapes.append(...buttons.map(({ button }) => button));
    const sliders = [
        ...FINGERS.map((name, finger) =>
            slider(state, words(name), 0, 100, (hand) => 100 * bendOf(hand.angles, finger), (hand, value) => ({
                angles: withBend(hand.angles, finger, value / 100),
            }))
        ),
        slider(state, words("spread"), 0, 100, (hand) => 100 * spreadOf(hand.angles), (hand, value) => ({
            angles: withSpread(hand.angles, value / 100),
        })),
        slider(state, words("roll"), -180, 180, (hand) => hand.roll, (_, roll) => ({ roll })),
        slider(state, words("tilt"), -80, 80, (hand) => hand.tilt, (_, tilt) => ({ tilt })),
    ];
    const grid = element("div", "emv2-pad-sliders", {}, ...sliders.map((one) => one.label));
    return {
        parts: [row, shapes, grid],
        update() {
            const hand = state.hand();
            tabs.forEach((tab, side) => {
                tab.classList.toggle("on", side === state.side);
                tab.setAttribute("aria-pressed", side === state.side);
            });
            hide.classList.toggle("on", !state.shows(state.side));
            hide.setAttribute("aria-pressed", !state.shows(state.side));
            hide.disabled = state.stopped;
            hide.title = words(state.mending ? "hideTipClip" : "hideTip");
            hide.setAttribute("aria-label", hide.title);
            gone.style.display = state.mending ? "" : "none";
            gone.classList.toggle("on", state.isGone());
            gone.setAttribute("aria-pressed", state.isGone());
            gone.disabled = !state.canChange();
            copy.style.display = state.mending ? "none" : "";
            copy.disabled = !state.ready;
            redraw.style.display = state.mending ? "" : "none";
            const off = !state.canChange();
            redraw.disabled = off || Boolean(hand);
            switchOff(shapes, off);
            switchOff(grid, off || !hand);
            for (const one of sliders) one.update(off ? null : hand);
            for (const one of buttons) one.update(state.side, off ? null : hand);
        },
    };
}

function chooseSide(state, side) {
    state.side = side;
    state.handle = `wrist ${side}`;
    state.changed();
}

function slider(state, name, min, max, read, write) {
    const input = element("input", "", { type: "range", min, max, step: 1 });
    input.setAttribute("aria-label", name);
    input.oninput = () => {
        if (!state.hand()) return;
        state.changeHand((hand) => write(hand, Number(input.value)));
        state.touch();
    };
    input.onchange = () => state.commit();
    const shown = element("b");
    const label = element("label", "emv2-pad-slider", {}, element("span", "", {}, name, shown), input);
    return {
        label,
        update(hand) {
            if (hand) input.value = Math.round(read(hand));
            shown.textContent = hand ? input.value : "";
        },
    };
}

function shapeButton(state, words, name) {
    const lines = svgElement("path");
    const picture = svgElement("svg", { viewBox: "0 0 60 64", "aria-hidden": "true" }, lines);
    const button = element("button", "emv2-pad-shape", { type: "button", title: words(name) }, picture, words(name));
    button.onclick = () => {
        if (state.mending && !state.hand()) state.redraw(state.side, PRESETS[name]);
        else state.changeHand(() => ({ angles: [...PRESETS[name]] }));
        state.commit();
    };
    let drawn = null;
    return {
        button,
        update(side, hand) {
            button.classList.toggle("on", Boolean(hand) && `${hand.angles.map(Math.round)}` === `${PRESETS[name]}`);
            if (drawn !== side) lines.setAttribute("d", shapePath(PRESETS[name], side));
            drawn = side;
        },
    };
}

function shapePath(angles, side) {
    const hand = { wrist: [side === 0 ? 32 : 28, 59], size: 52, turn: 0, roll: 0, tilt: 0, angles };
    const points = handPoints(hand, side).map((point) => point.map((v) => v.toFixed(1)));
    return HAND_BONES.map(([a, b]) => `M${points[a]}L${points[b]}`).join("");
}
