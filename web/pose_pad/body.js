// Corrections of neck, shoulders, elbows and head over a clip: the page's copy of echomimic_core/pose/pad/body.py.
import { BODY_SIDES, add, boneBetween, length, minus, rotated, scaled } from "./figure.js";
import { FORWARD, NECK } from "./numbers.js";

const HEAD = [0, 14, 15, 16, 17];
export const EYES = [14, 15];
const STILL = [[0, 0], [0, 0]];

// A bone whose end is moved by pixels, to a share: it turns in depth, so that it keeps its length.
function movedBone(bone, by, share) {
    const end = add(bone, by);
    return boneBetween(bone, end, Math.max(length(bone), length(end)), share, FORWARD);
}

// Moves a frame's points in place by all but the corrections of elbows; `counted` is how much of each counts.
export function mendBody(frame, changes, counted) {
    const { body, hands } = frame;
    const move = (points, places, by) => {
        for (const place of places) if (points[place]) points[place] = add(points[place], by);
    };
    changes.forEach(({ neck = [0, 0], shoulders = STILL, head = [0, 0, 1, 0] }, i) => {
        const share = counted[i];
        if (share === 0) return;
        move(body, body.keys(), scaled(neck, share));
        for (const hand of hands) move(hand, hand.keys(), scaled(neck, share));
        BODY_SIDES.forEach(([shoulder, elbow, wrist], side) => {
            if (!body[NECK] || !body[shoulder]) return;
            const bone = minus(body[shoulder], body[NECK]);
            const shift = minus(movedBone(bone, shoulders[side], share), bone);
            move(body, [shoulder, elbow, wrist], shift);
            move(hands[side], hands[side].keys(), shift);
        });
        moveHead(body, head, share);
    });
}

function moveHead(body, [x, y, scale, tilt], share) {
    if (![NECK, ...EYES].every((point) => body[point])) return;
    const eyes = scaled(add(...EYES.map((point) => body[point])), 0.5);
    const at = add(body[NECK], movedBone(minus(eyes, body[NECK]), [x, y], share));
    for (const point of HEAD)
        if (body[point]) body[point] = add(at, scaled(rotated(minus(body[point], eyes), share * tilt), scale ** share));
}

// Moves a frame's elbows in place; wrists stay where they are.
export function mendElbows({ body }, changes, counted) {
    changes.forEach(({ elbows = STILL }, i) => {
        if (counted[i] === 0) return;
        BODY_SIDES.forEach(([shoulder, elbow], side) => {
            if (!body[shoulder] || !body[elbow]) return;
            const bone = minus(body[elbow], body[shoulder]);
            body[elbow] = add(body[shoulder], movedBone(bone, elbows[side], counted[i]));
        });
    });
}
