// How a clip is corrected: what a drag at the pad's time changes in the correction there. Else as in placing.js.
import { EYES } from "./body.js";
import { BODY_SIDES, SIDES, add, clamp, handPoints, length, minus, scaled, wrapped } from "./figure.js";
import { bodiesOf, isGone, rootOf } from "./mend.js";
import { NECK, SCALES } from "./numbers.js";
import { Placing } from "./placing.js";
import { newValue, wholeChange } from "./value.js";

// Knuckles of the index and the little finger.
const ACROSS = [5, 17];
const middle = (points) => scaled(points.reduce(add), 1 / points.length);

// On which side of the hand the thumb is, as seen in the picture: the sign of the area between its outer knuckles; 0
// where one of them is not seen.
function facing(points) {
    const ways = ACROSS.map((knuckle) => points?.[0] && points[knuckle] && minus(points[knuckle], points[0]));
    if (!ways.every(Boolean)) return 0;
    const [[a, b], [c, d]] = ways;
    return Math.sign(a * d - b * c);
}

// By clip: its bones, by what they connect on which picture, and how long they look.
const longest = new WeakMap();

// What State builds on.
export class Correcting extends Placing {
    // The correction at this time, or a new one.
    get fix() {
        return this.mark ?? this.insert(this.value.fixes, {});
    }

    // Of a hand.
    change(side) {
        return (this.fix[SIDES[side]] ??= wholeChange());
    }

    // Of the body: adds pixels to what it does to one of its parts.
    moveBody(part, by, side = null) {
        const body = (this.fix.body ??= {});
        const none = side === null ? [0, 0] : [[0, 0], [0, 0]];
        body[part] ??= none;
        if (side === null) body[part] = this.bounded(add(body[part], by));
        else body[part][side] = this.bounded(add(body[part][side], by));
    }

    headChange(change) {
        const body = (this.fix.body ??= {});
        body.head = change(body.head ?? [0, 0, 1, 0]);
    }

    hand(side = this.side) {
        return this.mending ? (this.mark?.[SIDES[side]]?.hand ?? null) : super.hand(side);
    }

    changeHand(change, side = this.side) {
        if (!this.canChange(side)) return;
        if (!this.mending) return super.changeHand(change, side);
        const hand = this.hand(side);
        if (hand) Object.assign(hand, change(hand));
    }

    // The hand to place anew, over what the clip shows: it begins where that is, and with the same side of it in view.
    redraw(side, angles) {
        if (!this.canChange(side)) return;
        const points = this.pointsAt(this.time);
        const usual = newValue(this.value.picture).keys[0][SIDES[side]];
        const place = this.frameOf(side, points) ?? this.frameOf(side, this.uncorrected()) ?? usual;
        const hand = { ...usual, ...place, angles: [...(angles ?? usual.angles)] };
        const turned = facing(points?.hands[side]) * facing(handPoints(hand, side)) < 0;
        this.fix[SIDES[side]] = { hand: { ...hand, roll: turned ? 180 : 0 } };
    }

    // Whether a hand is left out at this time; between two corrections that leave it out, one that does not ends that.
    isGone(side = this.side) {
        return this.mending && isGone(this.value, side, this.time);
    }

    toggleGone(side = this.side) {
        if (!this.canChange(side)) return;
        this.fix[SIDES[side]] = this.isGone(side) ? wholeChange() : { absent: true };
        this.commit();
    }

    // Of the clip the middle between the eyes, half their distance, and degrees; null where they are not seen.
    headAt() {
        if (!this.mending) return super.headAt();
        const { body } = this.pointsAt(this.time);
        if (![NECK, ...EYES].every((point) => body[point])) return null;
        const [right, left] = EYES.map((point) => body[point]);
        const way = minus(left, right);
        return [...middle([left, right]), length(way) / 2, (Math.atan2(way[1], way[0]) * 180) / Math.PI];
    }

    // How long a bone looks at its longest in the clip: between two points, or the middles of some. Measured once.
    longestInClip(from, to) {
        const { ground, value } = this;
        if (!longest.has(ground)) longest.set(ground, new Map());
        const known = longest.get(ground);
        const bone = [value.picture, from, to].join(" ");
        if (!known.has(bone)) {
            const ends = (body) => [from, to].map((points) => points.map((point) => body[point]));
            const shown = bodiesOf(ground, value.picture).map(ends);
            const seen = shown.filter((both) => both.flat().every(Boolean));
            known.set(bone, Math.max(0, ...seen.map((both) => length(minus(...both.map(middle))))));
        }
        return known.get(bone);
    }

    moveWrist(side, to, otherwise) {
        if (!this.mending) return super.moveWrist(side, to, otherwise);
        const now = this.pointsAt(this.time);
        const change = this.change(side);
        if (change.hand) change.hand.wrist = this.bounded(to);
        else change.move = this.bounded(add(change.move ?? [0, 0], minus(this.bounded(to), rootOf(now, side))));
    }

    moveElbow(side, to, free) {
        if (!this.mending) return super.moveElbow(side, to, free);
        const { body } = this.pointsAt(this.time);
        const [shoulder, elbow, wrist] = BODY_SIDES[side];
        let target = this.bounded(to);
        if (!free && body[wrist]) target = this.within(body[wrist], target, this.longestInClip([elbow], [wrist]));
        if (!free) target = this.within(body[shoulder], target, this.longestInClip([shoulder], [elbow]));
        this.moveBody("elbows", minus(target, body[elbow]), side);
    }

    moveShoulder(side, to) {
        if (!this.mending) return super.moveShoulder(side, to);
        const { body } = this.pointsAt(this.time);
        const [shoulder] = BODY_SIDES[side];
        const target = this.within(body[NECK], this.bounded(to), this.longestInClip([NECK], [shoulder]));
        const by = minus(target, body[shoulder]);
        this.moveBody("shoulders", by, side);
        this.takeAlong(side, by);
    }

    moveNeck(to) {
        if (!this.mending) return super.moveNeck(to);
        const by = minus(this.bounded(to), this.pointsAt(this.time).body[NECK]);
        this.moveBody("neck", by);
        for (const side of [0, 1]) this.takeAlong(side, by);
    }

    // A hand that is placed anew stands in the picture, and hangs on no arm.
    takeAlong(side, by) {
        const hand = this.hand(side);
        if (hand) hand.wrist = this.bounded(add(hand.wrist, by));
    }

    moveHead(to) {
        if (!this.mending) return super.moveHead(to);
        const { body } = this.pointsAt(this.time);
        const target = this.within(body[NECK], this.bounded(to), this.longestInClip([NECK], EYES));
        const by = minus(target, this.headAt().slice(0, 2));
        this.headChange(([x, y, scale, tilt]) => [...this.bounded(add([x, y], by)), scale, tilt]);
    }

    shapeHead(size, tilt) {
        if (!this.mending) return super.shapeHead(size, tilt);
        const [, , shown, now] = this.headAt();
        this.headChange(([x, y, scale, turn]) => [
            ...[x, y, clamp((scale * this.sized(size)) / shown, ...SCALES)],
            wrapped(turn + tilt - now),
        ]);
    }

    // Whether a clip shows a hand at this time, so that it can be turned and scaled.
    isSeen(side) {
        return this.canChange(side) && this.pointsAt(this.time).hands[side].some(Boolean);
    }

    turnHand(side, degrees) {
        if (!this.isSeen(side)) return;
        if (this.hand(side)) return super.turnHand(side, degrees);
        const change = this.change(side);
        change.turn = wrapped(change.turn + degrees);
    }

    scaleHand(side, factor) {
        if (!this.isSeen(side)) return;
        if (this.hand(side)) return super.scaleHand(side, factor);
        const change = this.change(side);
        change.scale = clamp(change.scale * factor, ...SCALES);
    }
}
