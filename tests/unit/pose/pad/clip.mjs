// Corrects clips on the pad: writes what comes of it.
import { pads } from "./pads.mjs";

const [folder] = process.argv.slice(2);
const { newValue, written, handlesOf, pad, ground, still } = await pads(folder);
const steps = {};
const far = ([a, b], [c, d]) => Math.hypot(a - c, b - d);
const handleOf = ({ state }, id) => handlesOf(state, state.pointsAt(state.time)).find((handle) => handle.id === id);
const withFixes = (...fixes) => written({ ...newValue([800, 600]), fixes });

{
    // In a clip of ten minutes, of which the pad shows every 30th frame, between two of these: again and again to the
    // same place.
    const one = still(14400, 24, 30);
    one.state.seek(300.6);
    steps.long = [one.state.time];
    for (const id of ["wrist 0", "elbow 1", "neck"]) {
        const [at, neck] = [handleOf(one, id).at, one.state.pointsAt(one.state.time).body[1]];
        const to = at.map((v, i) => v + 0.06 * (neck[i] - v) + (id === "neck" ? 9 : 0));
        for (let i = 0; i < 4; i++) handleOf(one, id).drag(to);
        steps.long.push(far(handleOf(one, id).at, to));
    }
}
{
    // Corrections that say only some of what there is to say, then turned, scaled and moved.
    const given = [{}, { move: [3, 4] }, { turn: 20 }, { scale: 2 }, { absent: false, scale: 2 }];
    const changes = {
        turn: (state) => state.turnHand(0, 10),
        scale: (state) => state.scaleHand(0, 1.5),
        move: (state) => state.moveWrist(0, state.pointsAt(1).hands[0][0].map((v) => v + 5)),
    };
    steps.partial = given.flatMap((left) => Object.entries(changes).map(([name, change]) => {
        const one = pad();
        one.state.load(JSON.stringify({ version: 1, picture: [800, 600], fixes: [{ t: 1, left }] }));
        one.state.setMending(true);
        one.state.setGround(ground());
        one.state.seek(1);
        change(one.state);
        one.state.commit();
        return [left, name, one.saved.at(-1)];
    }));
}
{
    // What nobody sees, or has first to decide about, is not changed, whichever way it is asked.
    const [fixed, left] = [withFixes({ t: 1, right: { turn: 5 } }), { ...newValue([800, 600]), hidden: ["left"] }];
    left.keys[0].left.turn = 30;
    const over = (text, clip, size) => {
        const one = pad(text, size);
        one.state.setMending(true);
        if (clip) one.state.setGround({ ...ground(), ...clip });
        one.saved.length = 0;
        return one;
    };
    const unseen = ground().hands.map((points) => points.map((point, i) => (i < 21 ? null : point)));
    const pads = {
        "not shown": over(fixed, null),
        "left out": over(written(left), {}),
        "left out of a frame": pad(written(left)),
        "clip of another shape": over(fixed, { width: 600, height: 800 }),
        "picture of another shape": pad(fixed, [600, 800]),
        "locked": over('{"version": 7}', {}),
        "no hand there": over(fixed, { hands: unseen }),
    };
    const ways = {
        turn: (state) => state.turnHand(0, 3),
        scale: (state) => state.scaleHand(0, 2),
        redraw: (state) => state.mending && state.redraw(0),
        shape: (state) => state.changeHand(() => ({ angles: Array(16).fill(9) })),
        gone: (state) => state.mending && state.toggleGone(0),
        mirror: (state) => state.mirror(),
        copy: (state) => state.copyToOtherHand(),
        mark: (state) => state.addMark(),
        drag: (state) => handlesOf(state, state.pointsAt(0)).forEach(({ at, drag }) => drag(at.map((v) => v + 9))),
    };
    // What a hand is left out of, or lacks, can else be changed.
    const allowed = {
        "left out": ["mark", "drag"],
        "left out of a frame": ["mirror", "copy", "drag"],
        "no hand there": ["redraw", "gone", "mark", "drag"],
    };
    steps.kept = Object.entries(pads).flatMap(([name, one]) => Object.entries(ways).map(([way, change]) => {
        const before = written(one.state.value);
        change(one.state);
        one.state.commit();
        const kept = written(one.state.value) === before;
        if (!kept) one.state.undo();
        return [name, way, kept, (allowed[name] ?? []).includes(way)];
    }));
}
{
    // A clip that is longer than what can be corrected of it.
    const one = still(16000, 25, 40);
    one.state.seek(630);
    const note = one.note();
    handleOf(one, "wrist 0").drag([400, 300]);
    one.state.commit();
    one.state.moveMark(one.state.value.fixes[0], 620);
    one.state.commit();
    one.state.load(one.saved.at(-1));
    steps.over = { note, time: one.state.value.fixes[0].t, locked: one.state.locked, frames: one.state.frames };
    const short = still(15001, 25, 40);
    steps.over.short = short.note();
}
{
    // A hand that has been placed anew, and its neck or shoulder, moved together.
    steps.together = ["neck", "shoulder 0"].map((id) => {
        const one = still();
        one.state.seek(1);
        one.state.redraw(0);
        const points = () => one.state.pointsAt(1);
        const before = points();
        const { at } = handleOf(one, id);
        const to = [at[0] - 12, at[1] + 5];
        for (let i = 0; i < 3; i++) handleOf(one, id).drag(to);
        const after = points();
        const by = (a, b) => b.map((v, i) => v - a[i]);
        return [by(at, handleOf(one, id).at), by(before.hands[0][0], after.hands[0][0]), by(before.body[7], after.body[7])];
    });
}
{
    // How many frames a dragged elbow looks at: once all of them.
    const one = still();
    let looks = 0;
    const bodies = new Proxy(one.state.ground.bodies, {
        get: (target, name) => ((looks += /^\d+$/.test(String(name)) ? 1 : 0), Reflect.get(target, name)),
    });
    one.state.setGround({ ...one.state.ground, bodies });
    one.state.seek(1);
    steps.looks = [1, 2, 3].map((step) => {
        looks = 0;
        one.state.moveElbow(1, [200 + step, 400]);
        return looks;
    });
    const { width, height } = one.state.ground;
    const measured = one.state.longestInClip([3], [4]);
    one.state.setGround({ ...one.state.ground, width: width / 2, height: height / 2 });
    steps.measured = [measured, one.state.longestInClip([3], [4])];
}
process.stdout.write(JSON.stringify(steps));
