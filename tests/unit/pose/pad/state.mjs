// Uses the pad without a page: reads {texts} from a file, writes what the state says after each thing done to it.
import { readFileSync } from "node:fs";
import { pads } from "./pads.mjs";

const [folder, file] = process.argv.slice(2);
const { checked, newValue, written, onPicture, handPoints, handlesOf, calm, pad, ground, still } = await pads(folder);
const asked = JSON.parse(readFileSync(file, "utf-8"));

const verdict = (text) => {
    try {
        return checked(text) && null;
    } catch (wrong) {
        return wrong.name;
    }
};

const clip = (...times) => {
    const value = newValue([800, 600]);
    return written({ ...value, keys: times.map((t) => ({ ...value.keys[0], t })) });
};
const moved = (key, by) => ({ ...key, neck: key.neck.map((v) => v + by) });
const tell = ({ state, saved }) => ({ value: state.value, last: saved.at(-1) ?? null, time: state.time });
const steps = {};

{
    // A key that is dragged past the end of the time line, again and again within one drag.
    const one = pad(clip(0, 2));
    one.state.seek(2);
    one.state.hold(true);
    for (let i = 0; i < 50; i++) one.state.moveMark(one.state.value.keys.at(-1), one.state.range);
    one.state.hold(false);
    steps.draggedTo = one.state.end;
    one.state.commit();
    one.state.undo();
    steps.afterUndo = [one.state.time, one.state.range];
}
{
    // Undo of a long clip while the playhead is at its end.
    const one = pad(clip(0));
    one.state.value.keys = JSON.parse(clip(0, 20)).keys;
    one.state.commit();
    one.state.seek(20);
    one.state.undo();
    steps.playhead = [one.state.time, one.state.range];
}
{
    // What nobody can show is kept, and started again only when asked; that is undone like anything else.
    const broken = '{"version": 7, "picture": [800, 600], "hands": 3}';
    const one = pad(broken);
    one.state.setPicture({ size: [300, 900], exact: true });
    one.state.mirror();
    one.state.commit();
    one.state.touch();
    steps.locked = { saved: [...one.saved], note: one.note(), points: one.state.pointsAt(0) };
    one.state.startAgain();
    steps.again = { ...tell(one), note: one.note() };
    one.state.undo();
    steps.lockedAgain = { last: one.saved.at(-1), note: one.note() };
}
{
    // The 121st mark.
    const times = Array.from({ length: 120 }, (_, i) => i / 2);
    const one = pad(clip(0));
    one.state.setMending(true);
    one.state.setGround(ground(2401, 24, 10));
    one.state.value.fixes = times.map((t) => ({ t, left: { move: [1, 2] } }));
    one.state.commit();
    one.state.seek(1.25);
    const before = written(one.state.value);
    one.state.turnHand(0, 40);
    one.state.commit();
    steps.crowded = { same: written(one.state.value) === before, note: one.note(), seen: one.state.isSeen(0) };
}
{
    // A key is added by moving something at another time, and that is said until the playhead moves on or the next change.
    const one = pad(clip(0));
    one.state.seek(1);
    one.state.moveHead([400, 200]);
    one.state.commit();
    steps.added = [one.note(), one.state.value.keys.length];
    one.state.seek(0);
    steps.added.push(one.note());
    one.state.seek(2);
    for (const x of [400, 410]) {
        one.state.moveHead([x, 200]);
        one.state.touch();
    }
    one.state.commit();
    steps.added.push(one.note());
    one.state.moveHead([420, 200]);
    one.state.touch();
    steps.added.push(one.note());
}
{
    // Found on a picture of half the size: without the left hand, and with the artist's right hand in place.
    const one = pad(clip(0));
    const [first] = newValue([400, 300]).keys;
    one.state.moveWrist(1, [100, 200]);
    one.state.commit();
    const own = structuredClone(one.state.value.keys[0]);
    const found = moved(first, 10);
    one.state.place(found, ["left", "right", "head"], [400, 300]);
    const [key] = one.state.value.keys;
    steps.placed = { key, own, found: onPicture({ ...newValue([400, 300]), keys: [found] }, [800, 600]).keys[0] };
    one.state.place(found, ["body", "left", "right"], [400, 300]);
    steps.placedHands = { body: one.state.value.keys[0].neck, before: key.neck };
}
{
    // A picture of another shape: nothing moves until the artist says so, and that goes before all other notes.
    const one = pad(clip(0, 1));
    one.state.setPicture({ size: [600, 800], exact: true });
    steps.misfit = { saved: [...one.saved], note: one.note(), withFind: one.note({ busy: false, said: "said", forget() {} }) };
    one.state.refit();
    steps.refit = { picture: one.state.value.picture, note: one.note() };
}
{
    // A value that grows over 16 KB is taken back.
    const one = pad(clip(0));
    for (let t = 1; t < 60 && !one.state.full; t++) {
        one.state.value.keys.push({ ...structuredClone(one.state.value.keys[0]), t });
        one.state.commit();
    }
    steps.full = { note: one.note(), size: one.saved.at(-1).length, keys: one.state.value.keys.length };
}
{
    // The first figure is kept as nothing, before and after a change that is undone, and stands on each new picture.
    const one = pad();
    one.state.setPicture({ size: [600, 900], exact: false });
    steps.untouched = [one.saved.filter(Boolean), one.state.value.picture, one.state.misfit];
    one.state.moveHead([300, 200]);
    one.state.commit();
    const [touched] = one.saved.slice(-1);
    one.state.undo();
    one.state.setPicture({ size: [900, 600], exact: true });
    steps.untouched.push(Boolean(touched), one.saved.at(-1), one.state.value.picture, one.note());
}
{
    // Hands of a clip that are placed anew: palms and backs, on both sides, however they are turned.
    const seen = { width: 800, height: 600, fps: 24, bodies: null };
    steps.redrawn = [];
    for (const side of [0, 1])
        for (const roll of [20, 160])
            for (const turn of [0, 100, -130]) {
                const one = pad();
                one.state.setMending(true);
                const given = { ...newValue([800, 600]).keys[0][["left", "right"][side]], roll, turn };
                const hands = [0, 1].flatMap((hand) => (hand === side ? handPoints(given, side) : Array(21).fill(null)));
                one.state.setGround({ ...seen, times: [0], hands: [hands] });
                one.state.redraw(side);
                steps.redrawn.push([roll, one.state.hand(side).roll]);
            }
}
{
    // On one frame the elbow goes with the wrist until it has been placed, also after undo and a moved neck.
    const one = pad();
    const elbow = () => [...one.state.value.keys[0].elbows[0]];
    const went = (x, y, bend) => {
        const before = `${elbow()}`;
        one.state.moveWrist(0, [x, y], bend);
        one.state.commit();
        return `${elbow()}` !== before;
    };
    steps.elbows = [went(500, 200)];
    one.state.moveNeck([410, 210]);
    one.state.commit();
    steps.elbows.push(went(520, 220));
    one.state.moveElbow(0, [560, 380]);
    one.state.commit();
    one.state.undo();
    steps.elbows.push(went(530, 300));
    one.state.moveElbow(0, [560, 380]);
    one.state.commit();
    steps.elbows.push(went(500, 250), went(540, 260, true), went(500, 270));
    one.state.load(written(one.state.value));
    steps.elbows.push(went(520, 280));
}
{
    // A shoulder that is dragged far away in a clip, and on a single frame.
    const [one, lone] = [pad(clip(0, 2)), pad(clip(0))];
    const bones = ({ state }) => {
        const { neck, shoulders, elbows, left } = state.value.keys[0];
        const far = ([a, b], [c, d]) => Math.hypot(a - c, b - d);
        return [far(neck, shoulders[0]), far(shoulders[0], elbows[0]), far(elbows[0], left.wrist)];
    };
    steps.shoulder = { before: bones(one), lone: [] };
    one.state.moveShoulder(0, [700, 500]);
    steps.shoulder.after = bones(one);
    const { elbows } = structuredClone(lone.state.value.keys[0]);
    lone.state.moveShoulder(0, [700, 500]);
    steps.shoulder.lone = [lone.state.value.keys[0].shoulders[0], `${lone.state.value.keys[0].elbows}` === `${elbows}`];
}
{
    // Arms of a clip keep their length, unless asked otherwise: then a key may show longer bones.
    const far = ([a, b], [c, d]) => Math.hypot(a - c, b - d);
    const tries = [false, true].map((otherwise) => {
        const one = pad(clip(0, 2));
        const { elbows, left } = structuredClone(one.state.value.keys[0]);
        one.state.moveWrist(0, left.wrist.map((v, i) => v + 2 * (v - elbows[0][i])), otherwise);
        const key = one.state.value.keys[0];
        return [far(key.elbows[0], key.left.wrist) / far(elbows[0], left.wrist), far(key.elbows[0], elbows[0])];
    });
    steps.stretched = tries;
}
{
    // The handles of a hand whose wrist stands at an edge or in a corner of the view; a drag from wherever they are.
    steps.handles = [];
    const view = [[10, 10], [790, 590]];
    for (const wrist of [[400, 300], [780, 20], [20, 20], [20, 580], [780, 580], [400, 15]])
        for (const side of [0, 1])
            for (const turn of [0, 90, 180, -60]) {
                const one = pad(clip(0));
                one.state.side = side;
                one.state.changeHand((hand) => ({ ...hand, wrist, turn, size: 150 }));
                const found = (name, held) => {
                    const handles = handlesOf(one.state, one.state.pointsAt(0), view, held);
                    return handles.find(({ id }) => id === `${name} ${side}`);
                };
                const sees = ({ at }) => at.every((v, i) => view[0][i] <= v && v <= view[1][i]);
                const inside = sees(found("turn")) && sees(found("scale"));
                const ring = found("turn");
                const to = [ring.at[0] + 9, ring.at[1] + 6];
                // Again and again to the same place, as a pointer that trembles.
                for (let i = 0; i < 4; i++) found("turn", ring).drag(to);
                const way = (point) => Math.atan2(point[0] - wrist[0], wrist[1] - point[1]);
                const ringOff = Math.abs(Math.sin(way(found("turn", ring).at) - way(to)));
                const square = found("scale");
                const further = square.at.map((v, i) => 1.2 * v - 0.2 * wrist[i]);
                for (let i = 0; i < 4; i++) found("scale", square).drag(further);
                steps.handles.push([inside, ringOff, one.state.hand().size]);
            }
}
{
    // Every handle over a clip, dragged a little towards the middle of the figure: where it is then, and after reading.
    steps.corrected = [];
    const [view, neck] = [[[0, 0], [800, 600]], 1];
    for (const id of ["neck", "shoulder 0", "shoulder 1", "elbow 0", "elbow 1", "head", "head top", "wrist 0", "wrist 1"]) {
        const one = still();
        one.state.seek(1);
        const found = (time = 1) => {
            const points = one.state.pointsAt(time);
            return [points, handlesOf(one.state, points, view).find((handle) => handle.id === id)];
        };
        const [before, handle] = found();
        const middle = before.body[neck];
        const to = handle.at.map((v, i) => v + 0.06 * (middle[i] - v) + (id === "neck" ? 9 : 0));
        for (let i = 0; i < 3; i++) found()[1].drag(to);
        one.state.commit();
        one.state.load(written(one.state.value));
        one.state.setGround(one.state.ground);
        one.state.seek(1);
        const [at, half] = [found()[1].at, one.state.pointsAt(1 + 0.5 * one.state.value.ease)];
        const far = ([a, b], [c, d]) => Math.hypot(a - c, b - d);
        const untouched = JSON.stringify(one.state.pointsAt(0)) === JSON.stringify({ ...before, time: 0 });
        steps.corrected.push([id, far(at, to), untouched, half.body.some((point, i) => point && far(point, before.body[i]) > 0.5)]);
    }
}
{
    // A hand that is left out here, there, and in between not.
    const one = still();
    const shown = (time) => one.state.pointsAt(time).hands[0].some(Boolean);
    for (const time of [0.5, 1.5]) {
        one.state.seek(time);
        one.state.toggleGone(0);
    }
    steps.gone = [0, 0.5, 1, 1.5, 2].map(shown);
    one.state.seek(1);
    one.state.toggleGone(0);
    steps.gone.push(shown(1), one.state.value.fixes.length);
}
{
    // The last frame of a clip, and what the clock and the key frames count, at each rate.
    steps.rates = [24, 25, 30].map((fps) => {
        const over = still(71, fps);
        over.state.seek(99);
        const lone = pad(clip(0, 2));
        lone.state.setRate(fps);
        lone.state.seek(1.01);
        return [over.state.time * fps, over.state.frames, lone.state.frames, lone.state.time * fps];
    });
}
{
    // The figure's corner scales all key frames about the neck, and not out of bounds.
    const one = pad(clip(0, 2));
    const corner = () => handlesOf(one.state, one.state.pointsAt(0)).find(({ id }) => id === "figure");
    const [{ at }, before] = [corner(), structuredClone(one.state.value.keys)];
    const neck = before[0].neck;
    for (let i = 0; i < 3; i++) corner().drag(at.map((v, axis) => neck[axis] + 0.8 * (v - neck[axis])));
    const { keys } = one.state.value;
    steps.scaled = keys.map((key, i) => [key.left.size / before[i].left.size, key.head[2] / before[i].head[2], `${key.neck}` === `${neck}`]);
    for (let i = 0; i < 20; i++) corner().drag([-9e4, 9e4]), corner().drag([9e4, 9e4]);
    steps.scaled.push(checked(written(one.state.value)) && true);
}
{
    // A clip to correct that nobody has seen yet, with a correction from before.
    const one = pad(written({ ...newValue([800, 600]), fixes: [{ t: 6, left: { move: [1, 2] } }] }));
    one.state.setMending(true);
    one.state.moveMark(one.state.value.fixes[0], 1);
    steps.unseen = [one.state.end, one.state.frames, one.state.value.fixes[0].t, one.state.range];
    one.state.setGround({ width: 800, height: 600, fps: 25, times: [0, 4, 8], hands: [], bodies: null });
    steps.unseen.push(one.state.end, one.state.frames);
}
steps.notes = [pad().note(calm, false), pad().note({ busy: true, said: "busy", forget() {} })];
process.stdout.write(JSON.stringify({ verdicts: asked.texts.map(verdict), steps }));
