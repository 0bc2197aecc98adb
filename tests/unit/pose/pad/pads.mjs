// Pads without a page, as the tests use them: `folder` holds the page's modules.
import { pathToFileURL } from "node:url";

export async function pads(folder) {
    const load = (name) => import(pathToFileURL(`${folder}/${name}.js`));
    const names = ["state", "check", "value", "notes", "figure", "handles"];
    const { State, newValue, noteOf, pointsOf, ...more } = Object.assign({}, ...(await Promise.all(names.map(load))));
    const calm = { busy: false, said: "", forget() {} };

    // With what it saves, and the name of the sentence that it says.
    function pad(text = "", size = [800, 600]) {
        const saved = [];
        const state = new State((text) => saved.push(text), () => {});
        state.load(text);
        state.setPicture({ size, exact: true });
        saved.length = 0;
        const note = (find = calm, connected = true) => noteOf(state, (name) => name, connected, find)?.text ?? null;
        return { state, saved, note };
    }

    // Of a clip of the first figure that stands still: what the pad is shown of it, every n-th frame.
    function ground(frames = 49, fps = 24, every = 1) {
        const { body, hands } = pointsOf(newValue([800, 600]).keys[0]);
        const shown = Array.from({ length: frames }, (_, i) => i).filter((i) => i % every === 0 || i === frames - 1);
        const times = shown.map((i) => Math.round((i / fps) * 1e6) / 1e6);
        const [left, right] = hands;
        const always = (points) => times.map(() => points);
        return { width: 800, height: 600, fps, frames, times, hands: always([...left, ...right]), bodies: always(body) };
    }

    // A pad that corrects it.
    function still(...clip) {
        const one = pad();
        one.state.setMending(true);
        one.state.setGround(ground(...clip));
        return one;
    }
    return { State, newValue, noteOf, pointsOf, ...more, calm, pad, ground, still };
}
