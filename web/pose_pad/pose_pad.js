// The Pose Pad in its node: the picture, the figure to drag, the chosen hand and the time line.
import { app } from "../../../scripts/app.js";
import { handPanel, toolbar } from "./controls.js";
import { find } from "./find.js";
import { keyDown } from "./keyboard.js";
import { isConnected, loadPicture, pictureUrl } from "./picture.js";
import { Stage } from "./stage.js";
import { State } from "./state.js";
import { addStyle, element } from "./style.js";
import { timeline } from "./timeline.js";
import { words } from "./words.js";

const NODE = "EchoMimicV2PosePad";
const [WIDTH, HEIGHT] = [560, 760];
const LEAST_HEIGHT = 640;
const LOOK_EVERY = 400;

function build(node, value) {
    addStyle();
    let drawing = 0;
    let [kept, busy] = [null, false];
    const state = new State(
        (text) => (value.value = kept = text),
        () => (drawing ||= requestAnimationFrame(() => ((drawing = 0), update())))
    );
    const stage = new Stage(state, words);
    stage.canvas.setAttribute("aria-label", words("stageTip"));
    const tools = toolbar(state, stage, words, () => findNow());
    const hand = handPanel(state, words);
    const time = timeline(state, words);
    const said = element("span", "emv2-pad-grow");
    const refit = element("button", "", { type: "button", textContent: words("refit"), onclick: () => state.refit() });
    const note = element("div", "emv2-pad-note", { role: "status" }, said, refit);
    const pad = element("div", "emv2-pad", {}, tools.bar, note, stage.canvas, time.row, ...hand.parts);
    pad.dataset.captureWheel = "true";
    let complaint = "";

    function update() {
        const text = state.misfit ? words("misfit") : state.full ? words("full") : complaint;
        note.classList.toggle("on", Boolean(text));
        said.textContent = text;
        refit.style.display = state.misfit ? "" : "none";
        tools.update();
        hand.update();
        time.update();
        stage.draw();
    }

    async function findNow() {
        complaint = state.picture ? words("finding") : words("refused", { why: words("needsPicture") });
        update();
        if (!state.picture || busy) return;
        busy = true;
        try {
            const answer = await find(node, state.picture.size);
            state.place(answer.pad_found[0]);
            const missing = (answer.pad_missing ?? []).map((part) => words(part));
            complaint = missing.length ? words("missing", { parts: missing.join(words("comma")) }) : "";
        } catch (error) {
            complaint = words("refused", { why: error.message });
        }
        busy = false;
        update();
    }

    // What stands upstream changes without a word: look now and then.
    let [url, loading] = [null, null];
    async function look() {
        takePlace();
        // A script, or a prompt opened as a workflow, may have set the value.
        if (value.value !== kept) state.load((kept = value.value));
        const mending = isConnected(node, "pose");
        if (mending !== state.mending) {
            Object.assign(state, { mending, time: 0 });
            state.changed();
        }
        const wanted = pictureUrl(node, node.emv2Shown?.pad_picture?.[0]);
        if (wanted === url || loading) return;
        url = wanted;
        if (!url) return state.setPicture(null);
        loading = loadPicture(url)
            .then((picture) => state.setPicture(picture), () => state.setPicture(null))
            .finally(() => (loading = null));
    }
    // Nodes 2.0 keeps the element of a node that is gone where a new one has its id, as after an undo of the page.
    function takePlace() {
        if (pad.isConnected) return;
        const left = [...document.querySelectorAll(".emv2-pad")].find((one) => one.emv2Gone === String(node.id));
        left?.replaceWith(pad);
    }
    const timer = setInterval(look, LOOK_EVERY);
    const sized = new ResizeObserver(() => stage.draw());
    sized.observe(stage.canvas);

    // The graph behind must not move with what is dragged here, nor take our keys.
    for (const kind of ["pointerdown", "pointermove", "pointerup", "mousedown", "dblclick", "contextmenu"])
        pad.addEventListener(kind, (event) => event.stopPropagation());
    pad.addEventListener("wheel", (event) => event.stopPropagation(), { passive: true });
    pad.addEventListener("keydown", (event) => keyDown(event, { state, stage, time }));

    function remove() {
        clearInterval(timer);
        sized.disconnect();
        pad.emv2Gone = String(node.id);
    }

    look();
    return { pad, state, stage, look, remove };
}

// The page zooms the graph by touches that it takes before they get to the pad, which has pointer events of its own.
for (const kind of ["touchstart", "touchmove"])
    window.addEventListener(
        kind,
        (event) => event.target.closest?.(".emv2-pad") && event.stopPropagation(),
        { capture: true, passive: true }
    );

app.registerExtension({
    name: "EchoMimicV2.PosePad",

    nodeCreated(node) {
        if (node.comfyClass !== NODE) return;
        const value = node.widgets.find((widget) => widget.name === "pad");
        const made = build(node, value);
        // The value stays a text of the workflow; the pad is how it is written.
        value.hidden = true;
        value.options.hidden = true;
        value.computeSize = () => [0, -4];
        const shown = node.addDOMWidget("pose_pad", "emv2_pose_pad", made.pad, {
            serialize: false,
            hideOnZoom: false,
            getMinHeight: () => LEAST_HEIGHT,
            getValue: () => "",
            setValue: () => {},
        });
        shown.serialize = false;
        node.setSize([Math.max(node.size[0], WIDTH), Math.max(node.size[1], HEIGHT)]);
        node.emv2Pad = made;
        const { onConfigure, onExecuted, onRemoved } = node;
        node.onConfigure = function () {
            onConfigure?.apply(this, arguments);
            made.look();
        };
        node.onExecuted = function (output) {
            onExecuted?.apply(this, arguments);
            node.emv2Shown = output;
            if (output?.pad_ground?.[0]) made.state.ground = output.pad_ground[0];
            made.state.changed();
        };
        node.onRemoved = function () {
            made.remove();
            onRemoved?.apply(this, arguments);
        };
    },
});
