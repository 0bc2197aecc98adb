// How the figure changes: wrists, elbows, head and fingers of the key frame or the correction at the pad's time.
import { SIDES, add, clamp, handPoints, keyAt, length, minus, scaled } from "./figure.js";
import { bentElbow, rootOf } from "./mend.js";
import { HAND_SIZES, MARGIN, SCALES } from "./numbers.js";
import { copiedHand, mirroredKey, newValue } from "./value.js";

// Knuckles of the index and the little finger.
const ACROSS = [5, 17];

// On which side of the hand the thumb is, as seen in the picture: the sign of the area between its outer knuckles; 0
// where one of them is not seen.
function facing(points) {
    const ways = ACROSS.map((knuckle) => points?.[0] && points[knuckle] && minus(points[knuckle], points[0]));
    if (!ways.every(Boolean)) return 0;
    const [[a, b], [c, d]] = ways;
    return Math.sign(a * d - b * c);
}

const spelled = (point) => `${point.map((v) => Math.round(v * 10))}`;

// What State builds on.
export class Placing {
    // Where arms have bent elbows that nobody had placed.
    bent = new Set();

    // Whether an elbow goes with its wrist: it stands where the first figure has it, or where the arm has bent it.
    follows(key, side) {
        const elbow = spelled(key.elbows[side]);
        return this.bent.has(elbow) || elbow === spelled(newValue(this.value.picture).keys[0].elbows[side]);
    }

    bend(elbow) {
        this.bent.add(spelled(elbow));
    }

    // A change after which elbows that nobody had placed still go with their wrists.
    carrying(change, crossed = false) {
        const following = [0, 1].filter((side) => this.follows(this.value.keys[0], side));
        change();
        for (const side of following) this.bend(this.value.keys[0].elbows[crossed ? 1 - side : side]);
    }

    headAt() {
        return keyAt(this.value.keys, this.time).head;
    }

    shows(side) {
        return !this.value.hidden.includes(SIDES[side]);
    }

    // The parameters of the chosen hand, where it has some: always for key frames, for a correction if redrawn.
    hand(side = this.side) {
        if (!this.mending) return keyAt(this.value.keys, this.time)[SIDES[side]];
        return this.mark?.[SIDES[side]]?.hand ?? null;
    }

    // Changes the chosen hand's parameters.
    changeHand(change, side = this.side) {
        const name = SIDES[side];
        if (this.mending) {
            const hand = this.mark?.[name]?.hand;
            if (hand) Object.assign(hand, change(hand));
            return;
        }
        const key = this.editedKey();
        key[name] = { ...key[name], ...change(key[name]) };
    }

    // Where a hand is, which way it points and how large it is, of whatever kind it is.
    frameOf(side, points) {
        const hand = this.hand(side);
        if (hand) return { wrist: hand.wrist, size: hand.size, turn: hand.turn };
        const shown = points?.hands[side];
        if (!shown?.[0] || !shown[9]) return null;
        const way = minus(shown[9], shown[0]);
        return {
            wrist: shown[0],
            size: Math.max(length(way) / 0.48, 8),
            turn: (Math.atan2(way[0], -way[1]) * 180) / Math.PI,
        };
    }

    // The correction of a hand at this time.
    change(side) {
        const fix = this.mark ?? this.insert(this.value.fixes, {});
        return (fix[SIDES[side]] ??= { move: [0, 0], turn: 0, scale: 1 });
    }

    // The hand to place anew, over what the clip shows: it begins where that is, and with the same side of it in view.
    redraw(side, angles) {
        const points = this.pointsAt(this.time);
        const usual = newValue(this.value.picture).keys[0][SIDES[side]];
        const place = this.frameOf(side, points) ?? usual;
        const fix = this.mark ?? this.insert(this.value.fixes, {});
        const hand = { ...usual, ...place, angles: [...(angles ?? usual.angles)] };
        const turned = facing(points?.hands[side]) * facing(handPoints(hand, side)) < 0;
        fix[SIDES[side]] = { hand: { ...hand, roll: turned ? 180 : 0 } };
    }

    bounded([x, y]) {
        const [width, height] = this.value.picture;
        return [clamp(x, -MARGIN * width, (1 + MARGIN) * width), clamp(y, -MARGIN * height, (1 + MARGIN) * height)];
    }

    sized(size) {
        const side = Math.max(...this.value.picture);
        return clamp(size, HAND_SIZES[0] * side, HAND_SIZES[1] * side);
    }

    // On one frame an elbow that the artist has placed stays there; `otherwise` (Alt) it bends. In a clip the elbow bends
    // and the arm keeps its length; otherwise the wrist moves alone, which may show that the forearm is longer.
    moveWrist(side, to, otherwise = false) {
        const name = SIDES[side];
        if (this.mending) {
            const now = this.pointsAt(this.time);
            const change = this.change(side);
            if (change.hand) change.hand.wrist = this.bounded(to);
            else change.move = add(change.move ?? [0, 0], minus(this.bounded(to), rootOf(now, side)));
            return;
        }
        const key = this.editedKey();
        const [shoulder, elbow, wrist] = [key.shoulders[side], key.elbows[side], key[name].wrist];
        const inClip = this.value.keys.length > 1;
        const longest = otherwise ? Infinity : this.arm(side).reduce((sum, bone) => sum + bone, 0);
        const target = this.within(shoulder, this.bounded(to), longest);
        if (inClip ? !otherwise : otherwise || this.follows(key, side))
            this.carrying(() => (key.elbows[side] = this.bounded(bentElbow(shoulder, elbow, wrist, target))));
        key[name] = { ...key[name], wrist: target };
    }

    // Lengths of the upper arm and the forearm: free for one frame, for a clip as long as they look in its keys.
    arm(side) {
        if (this.value.keys.length < 2) return [Infinity, Infinity];
        return [
            this.longest((key) => minus(key.elbows[side], key.shoulders[side])),
            this.longest((key) => minus(key[SIDES[side]].wrist, key.elbows[side])),
        ];
    }

    // The length of a bone as it looks in the key where it looks longest.
    longest(bone) {
        return Math.max(...this.value.keys.map((key) => length(bone(key))));
    }

    within(root, to, most) {
        const way = minus(to, root);
        return length(way) > most ? add(root, scaled(way, most / length(way))) : to;
    }

    // `free` (Alt): in a clip, too, the bones may show themselves longer.
    moveElbow(side, to, free = false) {
        const key = this.editedKey();
        const [upper, fore] = free ? [Infinity, Infinity] : this.arm(side);
        key.elbows[side] = this.within(key.shoulders[side], this.bounded(to), upper);
        const hand = key[SIDES[side]];
        key[SIDES[side]] = { ...hand, wrist: this.within(key.elbows[side], hand.wrist, fore) };
    }

    // In a clip no further than its keys show, and the arm goes with it; on one frame it is placed alone.
    moveShoulder(side, to) {
        const key = this.editedKey();
        const [from, other] = [key.shoulders[side], key.shoulders[1 - side]];
        let target = this.bounded(to);
        if (this.value.keys.length > 1) {
            const wide = this.longest(({ shoulders }) => minus(shoulders[0], shoulders[1]));
            target = this.within(other, target, wide);
            target = this.within(key.neck, target, this.longest((one) => minus(one.shoulders[side], one.neck)));
            const move = (point) => this.bounded(add(point, minus(target, from)));
            key.elbows[side] = move(key.elbows[side]);
            key[SIDES[side]] = { ...key[SIDES[side]], wrist: move(key[SIDES[side]].wrist) };
        }
        key.shoulders[side] = target;
    }

    moveNeck(to) {
        const key = this.editedKey();
        const shift = minus(this.bounded(to), key.neck);
        const move = (point) => this.bounded(add(point, shift));
        key.neck = move(key.neck);
        key.shoulders = key.shoulders.map(move);
        this.carrying(() => (key.elbows = key.elbows.map(move)));
        key.head = [...move(key.head.slice(0, 2)), ...key.head.slice(2)];
        for (const side of SIDES) key[side] = { ...key[side], wrist: move(key[side].wrist) };
    }

    moveHead(to) {
        const key = this.editedKey();
        key.head = [...this.bounded(to), ...key.head.slice(2)];
    }

    shapeHead(size, tilt) {
        const key = this.editedKey();
        key.head = [...key.head.slice(0, 2), this.sized(size), tilt];
    }

    turnHand(side, degrees) {
        if (this.hand(side)) this.changeHand(({ turn }) => ({ turn: turn + degrees }), side);
        else this.change(side).turn += degrees;
    }

    scaleHand(side, factor) {
        if (this.hand(side)) return this.changeHand(({ size }) => ({ size: this.sized(size * factor) }), side);
        const change = this.change(side);
        change.scale = clamp(change.scale * factor, ...SCALES);
    }

    mirror() {
        const key = this.editedKey();
        this.carrying(() => Object.assign(key, mirroredKey(key, this.value.picture[0])), true);
        this.commit();
    }

    copyToOtherHand() {
        const [from, to] = [SIDES[this.side], SIDES[1 - this.side]];
        const key = this.editedKey();
        key[to] = copiedHand(key[from], key[to]);
        this.commit();
    }

    toggleHidden(side = this.side) {
        const name = SIDES[side];
        const { hidden } = this.value;
        this.value.hidden = hidden.includes(name) ? hidden.filter((one) => one !== name) : [...hidden, name];
        this.commit();
    }
}
