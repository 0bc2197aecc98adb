// The Pose Pad in its node: the picture, the figure to drag, the chosen hand and the time line.
import { app } from "../../../scripts/app.js";
import { handPanel, toolbar } from "./controls.js";
import { find } from "./find.js";
import { keyDown } from "./keyboard.js";
import { noteBar, noteOf } from "./notes.js";
import { Pictures, isConnected, loadPicture } from "./picture.js";
import { Stage } from "./stage.js";
import { State } from "./state.js";
import { addStyle, element } from "./style.js";
import { timeline } from "./timeline.js";
import { sameShape } from "./value.js";
import { words } from "./words.js";

const NODE = "EchoMimicV2PosePad";
const [WIDTH, HEIGHT] = [560, 820];
const [LEAST_WIDTH, LEAST_HEIGHT] = [360, 640];
const LOOK_EVERY = 400;

function build(node, value) {
    addStyle();
    let drawing = 0;
    let kept = null;
    const state = new State(
        (text) => (value.value = kept = text),
        () => (drawing ||= requestAnimationFrame(() => ((drawing = 0), update())))
    );
    const stage = new Stage(state);
    stage.canvas.setAttribute("aria-label", words("stageTip"));
    const finding = { busy: false, said: "", forget: () => say("") };
    const tools = toolbar(state, stage, words, () => findNow());
    const hand = handPanel(state, words);
    const time = timeline(state, words);
    // Keys go on to the pad, not to the page.
    const note = noteBar(words, () => stage.canvas.focus({ preventScroll: true }));
    const view = element("div", "emv2-pad-view", {}, stage.canvas);
    const pad = element("div", "emv2-pad", {}, tools.bar, note.bar, view, time.row, ...hand.parts);
    pad.dataset.captureWheel = "true";

    function update() {
        const { activeElement: focused } = document;
        note.update(noteOf(state, words, isConnected(node, "image"), finding));
        tools.update(finding.busy);
        hand.update();
        time.update();
        stage.draw();
        // What is switched off lets go of the keys, which are the pad's.
        if (pad.contains(focused) && focused.closest("[inert], :disabled")) stage.canvas.focus({ preventScroll: true });
    }

    function say(text, busy = false) {
        Object.assign(finding, { said: text, busy });
        update();
    }

    async function findNow() {
        if (finding.busy) return;
        const { mending } = state;
        const refused = (why) => say(words(mending ? "notShown" : "refused", { why }));
        if (!mending && !isConnected(node, "image")) return refused(words("whyNoPicture"));
        const looking = words(mending ? "showing" : "finding");
        say(looking, true);
        try {
            const answer = await find(node, state.value.picture, (first) =>
                say(first ? words("queued", { n: first }) : looking, true)
            );
            await ran(answer);
            say(answer.pad_found ? placed(answer) : "");
        } catch (error) {
            refused(error.values ? words(error.name, error.values) : error.message);
        }
    }

    // Takes what was found; what there is to say about it. The artist decides first what becomes of a pose that was
    // placed on a picture of another shape.
    function placed({ pad_found: [found], pad_missing: missing = [], pad_size: size }) {
        if (state.locked) return "";
        if (!sameShape(state.value.picture, size)) return words("thenFind");
        state.place(found, missing, size);
        const parts = missing.map((one) => words(`part ${one}`)).join(words("comma"));
        return missing.length ? words("missing", { parts }) : "";
    }

    // What stands upstream changes without a word: look now and then.
    const pictures = new Pictures(node);
    let [shown, loading] = [null, null];
    async function look() {
        takePlace();
        // A script, or a prompt opened as a workflow, may have set the value.
        if (value.value !== kept) state.load((kept = value.value));
        const mending = isConnected(node, "pose");
        if (mending !== state.mending) state.setMending(mending);
        const wanted = pictures.current();
        if (JSON.stringify(wanted) !== shown && !loading) {
            shown = JSON.stringify(wanted);
            loading = (wanted ? loadPicture(wanted) : Promise.resolve(null))
                .catch(() => null)
                .then((picture) => state.setPicture(picture))
                .finally(() => (loading = null));
        }
        await loading;
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

    // What a run of the node has shown.
    function ran(output) {
        if (output?.pad_picture) pictures.arrived(output.pad_picture[0]);
        if (output?.pad_ground?.[0]) state.setGround(output.pad_ground[0]);
        return look();
    }

    function remove() {
        clearInterval(timer);
        sized.disconnect();
        pad.emv2Gone = String(node.id);
    }

    look();
    return { pad, state, stage, look, ran, remove };
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
        const { computeSize, onConfigure, onExecuted, onRemoved } = node;
        node.computeSize = function () {
            const [width, height] = computeSize.apply(this, arguments);
            return [Math.max(width, LEAST_WIDTH), height];
        };
        node.setSize([Math.max(node.size[0], WIDTH), Math.max(node.size[1], HEIGHT)]);
        node.emv2Pad = made;
        node.onConfigure = function () {
            onConfigure?.apply(this, arguments);
            made.look();
        };
        node.onExecuted = function (output) {
            onExecuted?.apply(this, arguments);
            made.ran(output);
        };
        node.onRemoved = function () {
            made.remove();
            onRemoved?.apply(this, arguments);
        };
    },
});
