// What can be taken hold of: where it is on the picture, and what dragging or nudging it does.
import { SIDES, add, clamp, dot, length, minus, rotated, scaled, wrapped } from "./figure.js";
import { NECK } from "./numbers.js";

// Where a hand's two handles are: the angles from the hand's own in which they may be, best first, and how far from the
// wrist, in hand lengths; and how far the head's is from the eyes, in its sizes.
const TURN_AT = { angles: [0, 180, 90, -90], far: 1.32 };
const SCALE_AT = { angles: [70, -70, 110, -110], far: 0.83 };
const NEARER = [1, 0.6, 0.35];
const HEAD_AT = 3.1;
// How far beyond the figure the corner is that scales it, in widths of the figure.
const BEYOND = 0.04;
const degrees = ([x, y]) => (Math.atan2(x, -y) * 180) / Math.PI;

const part = (id, kind, at, drag, extra = {}) => ({ id, kind, at, drag, ...extra });

// Handles (in the order in which they are reached by keyboard) for points as `State.pointsAt` gives them; none while
// nothing may be changed. `view` is the part of the picture that is seen, [its first corner, its last]; `held` is the
// one that is dragged, which stays where it is beside the hand or the figure.
export function handlesOf(state, points, view = null, held = null) {
    if (!state.ready) return [];
    const figure = state.mending ? [] : [figureHandle(state, points, view, held)];
    return [...figure, ...bodyHandles(state, points), ...handHandles(state, points, view, held)];
}

// The box around a figure: [its first corner, its last].
export function boxOf({ body, face, hands }) {
    const points = [...body, ...face, ...hands.flat()].filter(Boolean);
    const ends = [Math.min, Math.max].map((end) => [0, 1].map((axis) => end(...points.map((point) => point[axis]))));
    const beyond = BEYOND * (ends[1][0] - ends[0][0]);
    return [ends[0].map((v) => v - beyond), ends[1].map((v) => v + beyond)];
}

// The corner that scales the whole figure about its neck; where it is not in view, nearer to the neck.
function figureHandle(state, points, view, held) {
    const neck = points.body[NECK];
    const way = minus(boxOf(points)[1], neck);
    const room = !view ? 1 : Math.min(1, ...[0, 1].map((axis) => (view[1][axis] - neck[axis]) / way[axis]));
    const place = (held?.id === "figure" && held.place) || { share: room > 0.1 ? room : 1 };
    const at = add(neck, scaled(way, place.share));
    const drag = (to) => {
        const grown = dot(minus(to, neck), minus(at, neck)) / dot(minus(at, neck), minus(at, neck));
        state.scaleFigure(clamp(grown, 0.1, 10));
    };
    return part("figure", "figure", at, drag, { place });
}

// Where a handle of a hand is: {angle from the hand's own, far in hand lengths, at}. In view where it can be.
function placeOf({ wrist, size, turn }, { angles, far }, side, view) {
    const place = (angle, share) => {
        const [from, reach] = [side === 0 ? angle : -angle, far * share];
        return { angle: from, far: reach, at: add(wrist, scaled(rotated([0, -1], turn + from), size * reach)) };
    };
    const places = NEARER.flatMap((share) => angles.map((angle) => place(angle, share)));
    const seen = ({ at }) => !view || at.every((v, axis) => view[0][axis] <= v && v <= view[1][axis]);
    return places.find(seen) ?? places[0];
}

function bodyHandles(state, { body }) {
    const joints = SIDES.flatMap((_, side) => [
        part(`shoulder ${side}`, "joint", body[side === 0 ? 5 : 2], (to) => state.moveShoulder(side, to)),
        part(`elbow ${side}`, "joint", body[side === 0 ? 6 : 3], (to, alt) => state.moveElbow(side, to, alt)),
    ]);
    const neck = part("neck", "joint", body[NECK], (to) => state.moveNeck(to));
    // A clip may not show all of them; an elbow hangs on its shoulder, and everything on the neck.
    const seen = body[NECK] ? [neck, ...joints.filter(({ at }, i) => at && joints[i - (i % 2)].at)] : [];
    return [...headHandles(state), ...seen];
}

function headHandles(state) {
    const head = state.headAt();
    if (!head) return [];
    const [x, y, size, tilt] = head;
    const top = add([x, y], scaled(rotated([0, -1], tilt), size * HEAD_AT));
    return [
        part("head", "head", [x, y], (to) => state.moveHead(to)),
        part("head top", "head top", top, (to) => {
            const way = minus(to, [x, y]);
            state.shapeHead(length(way) / HEAD_AT, degrees(way));
        }, { from: [x, y] }),
    ];
}

function handHandles(state, points, view, held) {
    return SIDES.flatMap((_, side) => {
        const frame = state.shows(side) && state.frameOf(side, points);
        if (!frame) return [];
        const { wrist, size, turn } = frame;
        const handles = [part(`wrist ${side}`, "wrist", wrist, (to, alt) => state.moveWrist(side, to, alt), { side })];
        if (side !== state.side) return handles;
        const placed = (id, usual) => {
            if (held?.id !== id || !held.place) return placeOf(frame, usual, side, view);
            const { angle, far } = held.place;
            return { angle, far, at: add(wrist, scaled(rotated([0, -1], turn + angle), size * far)) };
        };
        const [tip, corner] = [placed(`turn ${side}`, TURN_AT), placed(`scale ${side}`, SCALE_AT)];
        return [
            ...handles,
            part(`turn ${side}`, "turn", tip.at, (to) => {
                state.turnHand(side, wrapped(degrees(minus(to, wrist)) - turn - tip.angle));
            }, { side, from: wrist, place: tip }),
            part(`scale ${side}`, "scale", corner.at, (to) => {
                state.scaleHand(side, Math.max(length(minus(to, wrist)), 1) / (size * corner.far));
            }, { side, from: wrist, place: corner }),
        ];
    });
}
