// Corrections over a given clip: the page's copy of echomimic_core/pose/pad/mend.py.
import { mendBody, mendElbows } from "./body.js";
import {
    BODY_SIDES, HAND_BONES, SIDES, add, boneBetween, clamp, dot, eased, handPoints, length, minus, rotated, scaled,
    wrapped,
} from "./figure.js";

const MIDDLE_KNUCKLE = 9;
const FORWARD = 0.25;
const BEFORE = 0.15;
const HALF = 0.5 - 1e-9;
const RADIANS = Math.PI / 180;

// How much of each correction counts at a time: 1 at its own, 0 at those of its neighbours.
export function weights(times, at, ease) {
    return times.map((time, i) => {
        const neighbour = times[at < time ? i - 1 : i + 1];
        const gap = neighbour === undefined ? ease : Math.min(Math.abs(neighbour - time), ease);
        return eased(clamp(1 - Math.abs(at - time) / gap, 0, 1));
    });
}

// Points of a clip, on a picture of the given size.
function placed(points, ground, [width, height]) {
    const [x, y] = [width / ground.width, height / ground.height];
    return points.map((point) => point && [point[0] * x, point[1] * y]);
}

// The bodies of all frames that are shown of a clip.
export const bodiesOf = (ground, size) => ground.bodies.map((body) => placed(body, ground, size));

// What a clip shows at a time, by its nearest frame: of a long clip not all are known here, but a correction counts by
// the time itself.
export function groundAt(ground, seconds, size) {
    let index = 0;
    ground.times.forEach((time, i) => {
        if (Math.abs(time - seconds) < Math.abs(ground.times[index] - seconds)) index = i;
    });
    const hands = placed(ground.hands[index], ground, size);
    return {
        time: seconds,
        body: ground.bodies ? placed(ground.bodies[index], ground, size) : Array(18).fill(null),
        face: [],
        hands: [hands.slice(0, 21), hands.slice(21)],
    };
}

// The points of a frame with the corrections of a value: first the body, then its hands.
export function mended(frame, value) {
    const made = { ...frame, body: [...frame.body], hands: frame.hands.map((hand) => [...hand]) };
    const [bodies, counted] = corrections(value, "body", frame.time);
    mendBody(made, bodies, counted);
    SIDES.forEach((name, side) => {
        const [changes, weight] = corrections(value, name, frame.time);
        if (weight.some((share) => share > 0)) mendSide(made, side, changes, weight);
    });
    mendElbows(made, bodies, counted);
    SIDES.forEach((_, side) => isGone(value, side, frame.time) && leaveOut(made, side));
    return made;
}

// What corrects a part, "left", "right" or "body", and how much of each correction counts at a time.
function corrections({ fixes, ease }, part, time) {
    const found = fixes.filter((fix) => fix[part]);
    return [found.map((fix) => fix[part]), weights(found.map((fix) => fix.t), time, ease)];
}

// Whether a hand is left out at a time: around a correction that says so, and between two that follow each other.
export function isGone(value, side, time) {
    const [changes, counted] = corrections(value, SIDES[side], time);
    const times = value.fixes.filter((fix) => fix[SIDES[side]]).map((fix) => fix.t);
    return changes.some(({ absent }, i) => {
        const stays = absent && changes[i + 1]?.absent && times[i] <= time && time <= times[i + 1];
        return stays || (absent && counted[i] >= HALF);
    });
}

function leaveOut(frame, side) {
    frame.hands[side] = Array(21).fill(null);
    frame.body[BODY_SIDES[side][2]] = null;
}

export function rootOf(frame, side) {
    const hand = frame.hands[side];
    if (hand[0]) return hand[0];
    const seen = hand.filter(Boolean);
    if (!seen.length) return [0, 0];
    const wrist = frame.body[BODY_SIDES[side][2]];
    return wrist ?? scaled(seen.reduce(add), 1 / seen.length);
}

function mendSide(frame, side, changes, counted) {
    const hand = frame.hands[side];
    const root = rootOf(frame, side);
    const sum = (part) => changes.reduce((total, change, i) => total + counted[i] * part(change), 0);
    const move = [0, 1].map((axis) => sum(({ move }) => move?.[axis] ?? 0));
    const turn = sum(({ turn }) => turn ?? 0);
    const scale = Math.exp(sum(({ scale }) => Math.log(scale ?? 1)));
    const whole = hand.every(Boolean);
    let newRoot = add(root, move);
    let points = hand.map((point) => point && add(newRoot, scaled(rotated(minus(point, root), turn), scale)));
    changes.forEach((change, i) => {
        if (!change.hand || counted[i] === 0) return;
        const redrawn = handPoints(change.hand, side);
        points = points.every(Boolean) ? bonesBetween(points, redrawn, counted[i]) : redrawn;
        newRoot = points[0];
    });
    frame.hands[side] = points;
    if (!points.some(Boolean)) return;
    const [shoulder, elbow, wrist] = BODY_SIDES[side].slice(0, 3);
    const arm = [shoulder, elbow, wrist].map((point) => frame.body[point]);
    if (!arm.every(Boolean)) return;
    const moved = add(arm[2], minus(newRoot, root));
    frame.body[elbow] = bentElbow(...arm, moved);
    frame.body[wrist] = moved;
}

function bonesBetween(first, second, share) {
    const [a, b] = [first, second].map((hand) => minus(hand[MIDDLE_KNUCKLE], hand[0]));
    const turn = wrapped((Math.atan2(b[1], b[0]) - Math.atan2(a[1], a[0])) / RADIANS);
    const points = [first[0].map((v, i) => v + (second[0][i] - v) * share)];
    for (const [parent, child] of HAND_BONES) {
        const from = rotated(minus(first[child], first[parent]), share * turn);
        const to = rotated(minus(second[child], second[parent]), (share - 1) * turn);
        const longest = Math.max(length(from), length(to));
        points[child] = add(points[parent], boneBetween(from, to, longest, share, FORWARD));
    }
    return points;
}

// The elbow of an arm whose wrist has moved; the arm is taken to be bent in depth, so that the elbow never jumps.
export function bentElbow(shoulder, elbow, wrist, moved) {
    let [upper, fore] = [length(minus(elbow, shoulder)), length(minus(wrist, elbow))];
    const depth = Math.max(Math.hypot(Math.sqrt(Math.max(upper ** 2 - fore ** 2, 0)), BEFORE * (upper + fore)), 1e-6);
    fore = Math.hypot(fore, depth);
    const bone = [...minus(elbow, shoulder), 0];
    let [old, way] = [wrist, moved].map((end) => [...minus(end, shoulder), depth]);
    const distance = length(way);
    [old, way] = [scaled(old, 1 / length(old)), scaled(way, 1 / distance)];

    const fit = Math.max(distance / (upper + fore), 1) * Math.min(distance / Math.max(fore - upper, 1e-9), 1);
    [upper, fore] = [fit * upper, fit * fore];
    const along = clamp((upper ** 2 - fore ** 2 + distance ** 2) / (2 * distance), -upper, upper);
    const across = Math.sqrt(Math.max(upper ** 2 - along ** 2, 0));
    const onOld = dot(bone, old);
    let aside = bone.map((v, i) => v - onOld * old[i]);
    aside = scaled(aside, 1 / Math.max(length(aside), 1e-9));
    const share = dot(aside, way) / (1 + dot(old, way));
    aside = aside.map((v, i) => v - share * (old[i] + way[i]));
    return [0, 1].map((i) => shoulder[i] + along * way[i] + across * aside[i]);
}
