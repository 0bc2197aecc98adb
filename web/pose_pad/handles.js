// What can be taken hold of: where it is on the picture, and what dragging or nudging it does.
import { SIDES, add, length, minus, rotated, scaled } from "./figure.js";

// Distances of a hand's two handles from its wrist, in hand lengths, and of the head's from the eyes, in its sizes.
const TURN_AT = 1.32;
const SCALE_AT = 0.78;
const HEAD_AT = 3.1;
const degrees = ([x, y]) => (Math.atan2(x, -y) * 180) / Math.PI;

const part = (id, kind, at, drag, extra = {}) => ({ id, kind, at, drag, ...extra });

// Handles (in the order in which they are reached by keyboard) for points as `State.pointsAt` gives them.
export function handlesOf(state, points) {
    if (!points) return [];
    return [...(state.mending ? [] : bodyHandles(state)), ...handHandles(state, points)];
}

function bodyHandles(state) {
    const { body } = state.pointsAt(state.time);
    const [x, y, size, tilt] = state.headAt();
    const top = add([x, y], scaled(rotated([0, -1], tilt), size * HEAD_AT));
    const joints = SIDES.flatMap((_, side) => [
        part(`shoulder ${side}`, "joint", body[side === 0 ? 5 : 2], (to) => state.moveShoulder(side, to)),
        part(`elbow ${side}`, "joint", body[side === 0 ? 6 : 3], (to) => state.moveElbow(side, to)),
    ]);
    return [
        part("head", "joint", [x, y], (to) => state.moveHead(to)),
        part("head top", "scale", top, (to) => {
            const way = minus(to, [x, y]);
            state.shapeHead(length(way) / HEAD_AT, degrees(way));
        }),
        part("neck", "joint", body[1], (to) => state.moveNeck(to)),
        ...joints,
    ];
}

function handHandles(state, points) {
    return SIDES.flatMap((_, side) => {
        const frame = state.shows(side) && state.frameOf(side, points);
        if (!frame) return [];
        const { wrist, size, turn } = frame;
        const handles = [part(`wrist ${side}`, "wrist", wrist, (to, alt) => state.moveWrist(side, to, alt), { side })];
        if (side !== state.side) return handles;
        const tip = add(wrist, scaled(rotated([0, -1], turn), size * TURN_AT));
        const corner = add(wrist, scaled(rotated([side === 0 ? 1 : -1, -0.35], turn), size * SCALE_AT));
        const far = length(minus(corner, wrist));
        return [
            ...handles,
            part(`turn ${side}`, "turn", tip, (to) => {
                const way = degrees(minus(to, wrist)) - turn;
                state.turnHand(side, ((((way + 180) % 360) + 360) % 360) - 180);
            }, { side, from: wrist }),
            part(`scale ${side}`, "scale", corner, (to) => {
                state.scaleHand(side, Math.max(length(minus(to, wrist)), 1) / far);
            }, { side, from: wrist }),
        ];
    });
}
