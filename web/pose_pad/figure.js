// From the pad's parameters to points in the picture: the page's copy of echomimic_core/pose/pad/points.py.
import {
    ANGLES, FACE, FORWARD, HAND_BONES, KNUCKLES, LAST_PER_MIDDLE, LIMITS, NECK, PHALANGES, THUMB_BONES, THUMB_INWARDS,
    THUMB_ROOT,
} from "./numbers.js";

export const SIDES = ["left", "right"];
// Shoulder, elbow, wrist, eye and ear of the left and the right side, in OpenPose-18.
export const BODY_SIDES = [[5, 6, 7, 15, 17], [2, 3, 4, 14, 16]];
const EARS = [16, 0];
const RADIANS = Math.PI / 180;

export const add = ([a, b], [c, d]) => [a + c, b + d];
export const minus = ([a, b], [c, d]) => [a - c, b - d];
export const scaled = (point, factor) => point.map((v) => v * factor);
export const length = (vector) => Math.hypot(...vector);
export const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
export const wrapped = (degrees) => ((((degrees + 180) % 360) + 360) % 360) - 180;
export const dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);

export function rotated([x, y], degrees) {
    const [sin, cos] = [Math.sin(degrees * RADIANS), Math.cos(degrees * RADIANS)];
    return [x * cos - y * sin, x * sin + y * cos];
}

// The joint angles by name, inside their limits.
function shapeOf(angles) {
    let at = 0;
    return Object.fromEntries(ANGLES.map(([name, count]) => {
        const part = angles.slice(at, (at += count)).map((angle) => clamp(angle, ...LIMITS[name]) * RADIANS);
        return [name, count > 1 ? part : part[0]];
    }));
}

// The 21 points of a hand in its own frame: thumbwards, fingerwards, palmwards; wrist at the origin.
export function handShape(angles) {
    const shape = shapeOf(angles);
    const points = Array.from({ length: 21 }, () => [0, 0, 0]);
    for (let finger = 0; finger < 4; finger++) {
        const along = [Math.sin(shape.spread[finger]), Math.cos(shape.spread[finger])];
        let at = KNUCKLES[finger];
        points[5 + 4 * finger] = at;
        let bend = shape.knuckle[finger];
        for (let bone = 0; bone < 3; bone++) {
            if (bone > 0) bend += (bone === 1 ? 1 : LAST_PER_MIDDLE) * shape.middle[finger];
            const size = PHALANGES[finger][bone];
            const forward = size * Math.cos(bend);
            at = [at[0] + forward * along[0], at[1] + forward * along[1], at[2] + size * Math.sin(bend)];
            points[6 + bone + 4 * finger] = at;
        }
    }
    const { thumb_out: out, thumb_up: up } = shape;
    const direction = [Math.sin(out) * Math.cos(up), Math.cos(out) * Math.cos(up), Math.sin(up)];
    const share = dot(direction, THUMB_INWARDS);
    let inwards = THUMB_INWARDS.map((v, i) => v - direction[i] * share);
    inwards = scaled(inwards, 1 / length(inwards));
    let [at, bend] = [THUMB_ROOT, 0];
    points[1] = at;
    [0, shape.thumb_knuckle, shape.thumb_tip].forEach((angle, bone) => {
        bend += angle;
        const [along, across] = [Math.cos(bend) * THUMB_BONES[bone], Math.sin(bend) * THUMB_BONES[bone]];
        at = at.map((v, i) => v + along * direction[i] + across * inwards[i]);
        points[2 + bone] = at;
    });
    return points;
}

// The 21 points of a hand in the picture; side 0 is the person's left.
export function handPoints(hand, side) {
    const [roll, tilt] = [hand.roll * RADIANS, hand.tilt * RADIANS];
    return handShape(hand.angles).map(([thumbwards, fingerwards, palmwards]) => {
        const across = thumbwards * Math.cos(roll) + palmwards * Math.sin(roll);
        const towards = palmwards * Math.cos(roll) - thumbwards * Math.sin(roll);
        const along = fingerwards * Math.cos(tilt) - towards * Math.sin(tilt);
        return add(hand.wrist, scaled(rotated([side === 0 ? -across : across, -along], hand.turn), hand.size));
    });
}

// Points of a key: 18 of the body (null where there is none), 68 of the face, 21 of each hand.
export function pointsOf(key) {
    const [x, y, size, tilt] = key.head;
    const body = Array(18).fill(null);
    const face = FACE.map((point) => add([x, y], scaled(rotated(point, tilt), size)));
    body[0] = face[30];
    body[NECK] = key.neck;
    SIDES.forEach((name, side) => {
        const [shoulder, elbow, wrist, eye, ear] = BODY_SIDES[side];
        body[shoulder] = key.shoulders[side];
        body[elbow] = key.elbows[side];
        body[wrist] = key[name].wrist;
        body[eye] = add([x, y], scaled(rotated([side === 0 ? 1 : -1, 0], tilt), size));
        body[ear] = face[EARS[side]];
    });
    return { body, face, hands: SIDES.map((name, side) => handPoints(key[name], side)) };
}

export const eased = (share) => share ** 3 * (10 - 15 * share + 6 * share * share);

// The figure between key frames: bones turn in depth so that they keep their length.
export function keyAt(keys, seconds) {
    let after = keys.findIndex((key) => key.t > seconds);
    if (after < 0) after = keys.length - 1;
    let before = keys.length - 1;
    while (before > 0 && keys[before].t > seconds) before--;
    const span = after > before ? keys[after].t - keys[before].t : 1;
    const share = after > before ? eased(clamp((seconds - keys[before].t) / span, 0, 1)) : 0;
    const [from, to] = [keys[before], keys[after]];

    const mixed = (a, b) => a + (b - a) * share;
    const mixedSize = (a, b) => Math.exp(mixed(Math.log(a), Math.log(b)));
    const mixedAngle = (a, b) => a + wrapped(b - a) * share;
    const bone = (end, root) => turned(keys.map((key) => minus(end(key), root(key))), before, after, share);

    const neck = from.neck.map((v, i) => mixed(v, to.neck[i]));
    const key = { t: seconds, neck, shoulders: [], elbows: [] };
    SIDES.forEach((name, side) => {
        const [shoulder, elbow] = [(one) => one.shoulders[side], (one) => one.elbows[side]];
        key.shoulders[side] = add(neck, bone(shoulder, (one) => one.neck));
        key.elbows[side] = add(key.shoulders[side], bone(elbow, shoulder));
        const [a, b] = [from[name], to[name]];
        key[name] = {
            wrist: add(key.elbows[side], bone((one) => one[name].wrist, elbow)),
            size: mixedSize(a.size, b.size),
            turn: mixedAngle(a.turn, b.turn),
            roll: mixedAngle(a.roll, b.roll),
            tilt: mixedAngle(a.tilt, b.tilt),
            angles: a.angles.map((angle, i) => mixed(angle, b.angles[i])),
        };
    });
    const eyes = add(neck, bone((one) => one.head.slice(0, 2), (one) => one.neck));
    key.head = [...eyes, mixedSize(from.head[2], to.head[2]), mixedAngle(from.head[3], to.head[3])];
    return key;
}

function turned(bones, before, after, share) {
    return boneBetween(bones[before], bones[after], Math.max(...bones.map(length)), share, FORWARD);
}

// A bone a share of the way between two, turned in depth so that it keeps its length.
export function boneBetween(first, second, longest, share, forward) {
    const whole = [first, second].map((bone) => {
        const depth = Math.sqrt(Math.max(longest ** 2 - length(bone) ** 2, 0)) + forward * longest;
        const size = Math.max(length([...bone, depth]), 1e-9);
        return { size, unit: scaled([...bone, depth], 1 / size) };
    });
    const angle = Math.acos(clamp(dot(whole[0].unit, whole[1].unit), -1, 1));
    const straight = angle < 1e-6;
    const from = straight ? 1 - share : Math.sin((1 - share) * angle) / Math.sin(angle);
    const to = straight ? share : Math.sin(share * angle) / Math.sin(angle);
    const size = whole[0].size + (whole[1].size - whole[0].size) * share;
    return [0, 1].map((i) => size * (from * whole[0].unit[i] + to * whole[1].unit[i]));
}

// Times of the frames that the keys make: one for a single key, else from 0 to the last key.
export function frameTimes(value) {
    if (value.keys.length < 2) return [0];
    const frames = roundHalfEven(value.keys.at(-1).t * value.fps) + 1;
    return Array.from({ length: frames }, (_, frame) => frame / value.fps);
}

// As Python rounds.
export function roundHalfEven(number) {
    const floor = Math.floor(number);
    if (number - floor !== 0.5) return Math.round(number);
    return floor % 2 === 0 ? floor : floor + 1;
}

export { HAND_BONES };
