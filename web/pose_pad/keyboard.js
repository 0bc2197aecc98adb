// The pad by keyboard; whatever it takes does not reach the page's own shortcuts.
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const [FAR, TURN, SCALE, ZOOM] = [10, 3, 1.03, 1.2];

export function keyDown(event, { state, stage, time }) {
    const onControl = ["INPUT", "SELECT"].includes(event.target.tagName);
    const isCommand = event.ctrlKey || event.metaKey;
    const done = isCommand ? command(event, state) : !onControl && plain(event, state, stage, time);
    // What is typed at a slider is its own, and nobody else's.
    if (done || onControl || event.target.tagName === "BUTTON") event.stopPropagation();
    if (done) event.preventDefault();
    if (done && isCommand) hideFromPage(event);
}

// The page's own undo takes every event before it gets here, but reads it a frame later.
function hideFromPage(event) {
    for (const key of ["ctrlKey", "metaKey"]) Object.defineProperty(event, key, { value: false });
}

function command(event, state) {
    const key = event.key.toLowerCase();
    if (key === "z" && !event.shiftKey) state.undo();
    else if (key === "y" || (key === "z" && event.shiftKey)) state.redo();
    else return false;
    return true;
}

function plain(event, state, stage, time) {
    if (state.locked) return false;
    const onTime = event.target === time.track;
    const onButton = event.target.tagName === "BUTTON";
    const sign = event.shiftKey ? -1 : 1;
    const middle = [stage.canvas.clientWidth / 2, stage.canvas.clientHeight / 2];
    const changeHand = (change) => {
        change();
        state.commit();
    };
    const actions = {
        " ": () => time.toggle(),
        k: () => state.addMark(),
        Delete: () => state.removeMark(),
        Backspace: () => state.removeMark(),
        m: () => state.mirror(),
        o: () => {
            state.onion = !state.onion;
            state.changed();
        },
        f: () => stage.fit(),
        r: () => changeHand(() => state.turnHand(state.side, sign * TURN)),
        s: () => changeHand(() => state.scaleHand(state.side, SCALE ** sign)),
        ",": () => stage.cycle(-1),
        ".": () => stage.cycle(1),
        "+": () => stage.zoomAt(middle, ZOOM),
        "=": () => stage.zoomAt(middle, ZOOM),
        "-": () => stage.zoomAt(middle, 1 / ZOOM),
    };
    if (onButton && [" ", "Enter"].includes(event.key)) return false;
    const arrow = ARROWS[event.key];
    const action = actions[event.key] ?? actions[event.key.toLowerCase()];
    if (arrow && onTime) state.seek(state.time + ((arrow[0] - arrow[1]) * (event.shiftKey ? FAR : 1)) / state.fps);
    else if (arrow) stage.nudge(arrow.map((v) => v * (event.shiftKey ? FAR : 1)), event.altKey);
    else if (onTime && event.key === "Home") state.seek(0);
    else if (onTime && event.key === "End") state.seek(state.end);
    else if (action) action();
    else return false;
    return true;
}
