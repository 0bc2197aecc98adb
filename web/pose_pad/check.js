// Whether a text is a value of the pad: refuses what echomimic_core/pose/pad/value.py refuses, and says why.
import { SIDES } from "./figure.js";
import {
    ANGLE_COUNT, EASES, HAND_SIZES, MARGIN, MAX_BYTES, MAX_FPS, MAX_KEYS, MAX_SECONDS, SCALES, SIDE_PIXELS, VERSION,
} from "./numbers.js";

// `name` and `values` are what `words` makes a sentence of.
export class Wrong extends Error {
    constructor(name, values = {}) {
        super(name);
        Object.assign(this, { name, values });
    }
}

const TOP = ["version", "picture", "fps", "hidden", "keys", "fixes", "ease", "find"];
const KEY = ["t", "neck", "shoulders", "elbows", "head", ...SIDES];
const HAND = ["wrist", "size", "turn", "roll", "tilt", "angles"];
const part = (where) => new Wrong("wrongPart", { where });

// The content of a text, as it stands there. Throws Wrong.
export function checked(text) {
    if (new TextEncoder().encode(text).length > MAX_BYTES) throw new Wrong("wrongSize");
    let top;
    try {
        top = JSON.parse(text);
    } catch {
        throw new Wrong("wrongJson");
    }
    fields(top, "pad", ["version", "picture"]);
    if (top.version !== VERSION) {
        throw new Wrong(top.version > VERSION ? "wrongVersion" : "wrongPart", { where: "version", found: top.version });
    }
    fields(top, "pad", [], TOP);
    const picture = list(top.picture, "picture", 2);
    for (const side of picture) if (!Number.isInteger(number(side, "picture", ...SIDE_PIXELS))) throw part("picture");
    if (list(top.hidden ?? [], "hidden").some((side) => !SIDES.includes(side))) throw part("hidden");
    number(top.fps ?? 1, "fps", 1, MAX_FPS);
    number(top.ease ?? EASES[0], "ease", ...EASES);
    if (![true, false].includes(top.find ?? false)) throw part("find");
    for (const name of TOP) if (top[name] === null) throw part(name);
    marks(top.keys ?? [], "keys", (key, where) => checkKey(key, where, picture));
    marks(top.fixes ?? [], "fixes", (fix, where) => checkFix(fix, where, picture));
    if (top.find) throw new Wrong("wrongFind");
    return top;
}

function marks(listed, name, check) {
    if (list(listed, name).length > MAX_KEYS) throw new Wrong("wrongCount", { most: MAX_KEYS });
    listed.forEach((one, index) => {
        check(one, `${name}[${index}]`);
        number(one.t, `${name}[${index}].t`, 0, MAX_SECONDS);
        if (index && one.t <= listed[index - 1].t) throw part(`${name}[${index}].t`);
    });
}

function checkKey(key, where, picture) {
    fields(key, where, KEY, KEY);
    point(key.neck, `${where}.neck`, picture);
    for (const name of ["shoulders", "elbows"])
        for (const one of list(key[name], `${where}.${name}`, 2)) point(one, `${where}.${name}`, picture);
    const [x, y, size, tilt] = list(key.head, `${where}.head`, 4);
    point([x, y], `${where}.head`, picture);
    handSize(size, `${where}.head`, picture);
    number(tilt, `${where}.head`, -360, 360);
    for (const side of SIDES) checkHand(key[side], `${where}.${side}`, picture);
}

function checkFix(fix, where, picture) {
    fields(fix, where, ["t"], ["t", ...SIDES, "body"]);
    const corrected = SIDES.filter((side) => Object.hasOwn(fix, side));
    if (!corrected.length && !Object.hasOwn(fix, "body")) throw part(where);
    if (Object.hasOwn(fix, "body")) checkBody(fix.body, `${where}.body`, picture);
    for (const side of corrected) {
        const [change, place] = [fix[side], `${where}.${side}`];
        fields(change, place, [], ["move", "turn", "scale", "hand", "absent"]);
        if (Object.hasOwn(change, "absent") && ![true, false].includes(change.absent)) throw part(`${place}.absent`);
        if (change.absent) continue;
        if (Object.hasOwn(change, "hand")) checkHand(change.hand, `${place}.hand`, picture);
        else {
            const { move = [0, 0], turn = 0, scale = 1 } = change;
            point(move, `${place}.move`, picture);
            number(turn, `${place}.turn`, -360, 360);
            number(scale, `${place}.scale`, ...SCALES);
        }
    }
}

function checkBody(body, where, picture) {
    const still = [[0, 0], [0, 0]];
    fields(body, where, [], ["neck", "shoulders", "elbows", "head"]);
    const { neck = [0, 0], shoulders = still, elbows = still, head = [0, 0, 1, 0] } = body;
    point(neck, `${where}.neck`, picture);
    for (const [name, points] of Object.entries({ shoulders, elbows }))
        for (const one of list(points, `${where}.${name}`, 2)) point(one, `${where}.${name}`, picture);
    const [x, y, scale, tilt] = list(head, `${where}.head`, 4);
    point([x, y], `${where}.head`, picture);
    number(scale, `${where}.head`, ...SCALES);
    number(tilt, `${where}.head`, -360, 360);
}

function checkHand(hand, where, picture) {
    fields(hand, where, HAND, HAND);
    point(hand.wrist, `${where}.wrist`, picture);
    handSize(hand.size, `${where}.size`, picture);
    for (const name of ["turn", "roll", "tilt"]) number(hand[name], `${where}.${name}`, -360, 360);
    for (const angle of list(hand.angles, `${where}.angles`, ANGLE_COUNT)) number(angle, `${where}.angles`, -180, 180);
}

function fields(content, where, required, known = null) {
    if (typeof content !== "object" || content === null || Array.isArray(content)) throw part(where);
    for (const name of required) if (!Object.hasOwn(content, name)) throw part(`${where}.${name}`);
    for (const name of Object.keys(content)) if (known && !known.includes(name)) throw part(`${where}.${name}`);
}

function list(content, where, count = null) {
    if (!Array.isArray(content) || (count !== null && content.length !== count)) throw part(where);
    return content;
}

function number(value, where, least, most) {
    if (typeof value !== "number" || !(value >= least && value <= most)) throw part(where);
    return value;
}

function point(content, where, picture) {
    list(content, where, 2).forEach((v, i) => number(v, where, -MARGIN * picture[i], (1 + MARGIN) * picture[i]));
}

function handSize(value, where, picture) {
    number(value, where, ...HAND_SIZES.map((share) => share * Math.max(...picture)));
}
