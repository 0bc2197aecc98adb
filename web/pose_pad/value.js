// The pad's value: the JSON that the node keeps. Here it is made, scaled, mirrored and rounded.
import { checked } from "./check.js";
import { SIDES, wrapped } from "./figure.js";
import { DEFAULT_EASE, MAX_BYTES, PRESETS, START, START_SIDE, VERSION } from "./numbers.js";

const NO_PICTURE = [768, 768];
const FPS = 24;
export const copy = (one) => structuredClone(one);

// The first figure, for a picture of that size.
export function newValue([width, height] = NO_PICTURE) {
    const side = Math.min(width, height);
    const placed = scaledKey(START, side / START_SIDE, [(width - side) / 2, height - side]);
    const value = { version: VERSION, picture: [width, height], fps: FPS, hidden: [], keys: [placed], fixes: [] };
    return { ...value, ease: DEFAULT_EASE };
}

// The whole value in a text, with all that it may leave away. Throws Wrong where it is none that this page can show.
export function parsed(text) {
    const whole = { fps: FPS, hidden: [], keys: [], fixes: [], ease: DEFAULT_EASE, ...checked(text) };
    if (!whole.keys.length) whole.keys = newValue(whole.picture).keys;
    for (const fix of whole.fixes) for (const side of SIDES) if (fix[side]) fix[side] = wholeChange(fix[side]);
    return whole;
}

// What a correction does to a hand: it leaves it out, replaces it, or moves, turns and scales it.
export function wholeChange({ move = [0, 0], turn = 0, scale = 1, hand, absent } = {}) {
    if (absent) return { absent };
    return hand ? { hand } : { move, turn, scale };
}

export function written(value) {
    const { version, picture, fps, hidden, keys, fixes, ease } = value;
    const whole = { version, picture, fps, hidden, keys: keys.map(roundedKey), fixes: fixes.map(roundedFix), ease };
    return JSON.stringify(whole);
}

export const fits = (text) => new TextEncoder().encode(text).length <= MAX_BYTES;

const round = (number) => Math.round(number * 10) / 10;
const roundPoint = (point) => point.map(round);
const roundTime = (seconds) => Math.round(seconds * 1000) / 1000;

function roundedHand({ wrist, size, turn, roll, tilt, angles }) {
    return {
        wrist: roundPoint(wrist),
        size: round(size),
        turn: round(wrapped(turn)),
        roll: round(wrapped(roll)),
        tilt: round(tilt),
        angles: angles.map(Math.round),
    };
}

export function roundedKey({ t, neck, shoulders, elbows, head, left, right }) {
    const hands = { left: roundedHand(left), right: roundedHand(right) };
    const [x, y, size, tilt] = head;
    return {
        t: roundTime(t),
        neck: roundPoint(neck),
        shoulders: shoulders.map(roundPoint),
        elbows: elbows.map(roundPoint),
        head: roundPoint([x, y, size, wrapped(tilt)]),
        ...hands,
    };
}

function roundedFix(fix) {
    const rounded = { t: roundTime(fix.t) };
    for (const side of SIDES) if (fix[side]) rounded[side] = roundedChange(fix[side]);
    if (fix.body) rounded.body = roundedBody(fix.body);
    return rounded;
}

const roundScale = (scale) => Math.round(scale * 1000) / 1000;

function roundedChange(change) {
    const { move, turn, scale, hand, absent } = wholeChange(change);
    if (absent) return { absent };
    if (hand) return { hand: roundedHand(hand) };
    return { move: roundPoint(move), turn: round(wrapped(turn)), scale: roundScale(scale) };
}

// Only what it corrects.
function roundedBody(body) {
    const { neck, shoulders, elbows, head } = body;
    return {
        ...(neck && { neck: roundPoint(neck) }),
        ...(shoulders && { shoulders: shoulders.map(roundPoint) }),
        ...(elbows && { elbows: elbows.map(roundPoint) }),
        ...(head && { head: [...roundPoint(head.slice(0, 2)), roundScale(head[2]), round(wrapped(head[3]))] }),
    };
}

function movedKey(key, point, hand) {
    const [x, y, size, tilt] = key.head;
    const head = point([x, y]);
    return {
        ...key,
        neck: point(key.neck),
        shoulders: key.shoulders.map(point),
        elbows: key.elbows.map(point),
        head: [...head, size, tilt],
        left: hand(key.left),
        right: hand(key.right),
    };
}

export function scaledKey(key, factor, [dx, dy]) {
    const point = ([x, y]) => [x * factor + dx, y * factor + dy];
    const hand = (one) => ({ ...one, wrist: point(one.wrist), size: one.size * factor });
    const scaled = movedKey(key, point, hand);
    scaled.head[2] *= factor;
    return scaled;
}

// Whether two sizes have the same shape, as near as Python asks.
export const sameShape = ([width, height], [wide, tall]) =>
    Math.abs(width / height - wide / tall) <= (0.01 * wide) / tall;

// The value on a picture of another size: scaled, and centred where the shape differs.
export function onPicture(value, [width, height]) {
    const [from, tall] = value.picture;
    const factor = Math.min(width / from, height / tall);
    const offset = [(width - from * factor) / 2, (height - tall * factor) / 2];
    const keys = value.keys.map((key) => scaledKey(key, factor, offset));
    const fixes = value.fixes.map((fix) => scaledFix(fix, factor, offset));
    return { ...value, picture: [width, height], keys, fixes };
}

function scaledFix(fix, factor, [dx, dy]) {
    const moved = { ...fix };
    const by = (point) => point.map((v) => v * factor);
    for (const side of SIDES) {
        const hand = fix[side]?.hand;
        if (hand) {
            const wrist = [hand.wrist[0] * factor + dx, hand.wrist[1] * factor + dy];
            moved[side] = { hand: { ...hand, wrist, size: hand.size * factor } };
        } else if (fix[side]?.move) moved[side] = { ...fix[side], move: by(fix[side].move) };
    }
    if (fix.body) {
        const { neck, shoulders, elbows, head } = fix.body;
        const scaled = { neck: neck && by(neck), shoulders: shoulders?.map(by), elbows: elbows?.map(by) };
        moved.body = { ...scaled, head: head && [...by(head.slice(0, 2)), ...head.slice(2)] };
    }
    return moved;
}

// The key seen in a mirror: left and right change places.
export function mirroredKey(key, width) {
    const point = ([x, y]) => [width - x, y];
    const hand = (one) => ({ ...one, wrist: point(one.wrist), turn: -one.turn });
    const moved = movedKey(key, point, hand);
    moved.head[3] *= -1;
    return {
        ...moved,
        shoulders: moved.shoulders.reverse(),
        elbows: moved.elbows.reverse(),
        left: moved.right,
        right: moved.left,
    };
}

// One hand's pose for the other side: the same fingers and turn, mirrored, where the other wrist is.
export const copiedHand = (from, to) => ({ ...copy(from), wrist: to.wrist, turn: -from.turn });

// How far each finger (thumb first) is bent, 0 to 1; and setting it.
const FINGER_ANGLES = [[12, 13, 14, 15], ...[0, 1, 2, 3].map((finger) => [finger, 8 + finger])];
const SPREAD_ANGLES = [4, 5, 6, 7];
const shareOf = (angles, places, from, to) => {
    const shares = places.map((i) => (to[i] === from[i] ? 0 : (angles[i] - from[i]) / (to[i] - from[i])));
    return Math.min(Math.max(shares.reduce((sum, v) => sum + v, 0) / places.length, 0), 1);
};
const withShare = (angles, places, from, to, share) =>
    angles.map((angle, i) => (places.includes(i) ? from[i] + (to[i] - from[i]) * share : angle));

export const bendOf = (angles, finger) => shareOf(angles, FINGER_ANGLES[finger], PRESETS.open, PRESETS.fist);
export const withBend = (angles, finger, share) =>
    withShare(angles, FINGER_ANGLES[finger], PRESETS.open, PRESETS.fist, share);
export const spreadOf = (angles) => shareOf(angles, SPREAD_ANGLES, PRESETS.fist, PRESETS.open);
export const withSpread = (angles, share) => withShare(angles, SPREAD_ANGLES, PRESETS.fist, PRESETS.open, share);

// Of what Find looks for: where a key keeps it.
const PARTS = {
    body: [["neck"], ["shoulders"], ["elbows"], ["head"]],
    head: [["head"]],
    "left elbow": [["elbows", 0]],
    "right elbow": [["elbows", 1]],
    left: [["left"]],
    right: [["right"]],
};

// A found key, except for what was not found and has been placed before.
export function withOwnParts(found, own, missing, picture) {
    const [made, placed, usual] = [copy(found), roundedKey(own), roundedKey(newValue(picture).keys[0])];
    const at = (key, way) => way.reduce((inner, name) => inner[name], key);
    for (const way of missing.flatMap((part) => PARTS[part] ?? [])) {
        if (JSON.stringify(at(placed, way)) === JSON.stringify(at(usual, way))) continue;
        at(made, way.slice(0, -1))[way.at(-1)] = at(placed, way);
    }
    return made;
}
