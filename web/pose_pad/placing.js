// How the figure is placed: wrists, elbows, head and fingers of the key frame at the pad's time.
import { Wrong, checked } from "./check.js";
import { SIDES, add, clamp, keyAt, length, minus, scaled } from "./figure.js";
import { bentElbow } from "./mend.js";
import { HAND_SIZES, MARGIN } from "./numbers.js";
import { copiedHand, mirroredKey, newValue, scaledKey, written } from "./value.js";

const spelled = (point) => `${point.map((v) => Math.round(v * 10))}`;

// What Correcting builds on.
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

    // Whether a hand can be changed: it is shown, and in the pose.
    canChange(side = this.side) {
        return this.ready && this.shows(side);
    }

    // The parameters of the chosen hand, where it has some: always for key frames, for a correction if redrawn.
    hand(side = this.side) {
        return keyAt(this.value.keys, this.time)[SIDES[side]];
    }

    // Changes the chosen hand's parameters.
    changeHand(change, side = this.side) {
        const [key, name] = [this.editedKey(), SIDES[side]];
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

    bounded([x, y]) {
        const [width, height] = this.value.picture;
        return [clamp(x, -MARGIN * width, (1 + MARGIN) * width), clamp(y, -MARGIN * height, (1 + MARGIN) * height)];
    }

    sized(size) {
        const side = Math.max(...this.value.picture);
        return clamp(size, HAND_SIZES[0] * side, HAND_SIZES[1] * side);
    }

    // On one frame an elbow that the artist has placed stays there; `otherwise` (Alt) it bends. In a clip the elbow
    // bends and the arm keeps its length; otherwise the wrist moves alone, which may show that the forearm is longer.
    moveWrist(side, to, otherwise = false) {
        const name = SIDES[side];
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

    // Every key frame scaled about the neck at this time, unless something would then be out of reach.
    scaleFigure(factor) {
        const about = keyAt(this.value.keys, this.time).neck;
        const offset = scaled(about, 1 - factor);
        const keys = this.value.keys.map((key) => scaledKey(key, factor, offset));
        try {
            checked(written({ ...this.value, keys }));
        } catch (wrong) {
            if (wrong instanceof Wrong) return;
            throw wrong;
        }
        this.carrying(() => (this.value.keys = keys));
    }

    turnHand(side, degrees) {
        this.changeHand(({ turn }) => ({ turn: turn + degrees }), side);
    }

    scaleHand(side, factor) {
        this.changeHand(({ size }) => ({ size: this.sized(size * factor) }), side);
    }

    mirror() {
        if (!this.ready || this.mending) return;
        const key = this.editedKey();
        this.carrying(() => Object.assign(key, mirroredKey(key, this.value.picture[0])), true);
        this.commit();
    }

    copyToOtherHand() {
        if (!this.ready || this.mending) return;
        const [from, to] = [SIDES[this.side], SIDES[1 - this.side]];
        const key = this.editedKey();
        key[to] = copiedHand(key[from], key[to]);
        this.commit();
    }

    toggleHidden(side = this.side) {
        if (this.stopped) return;
        const name = SIDES[side];
        const { hidden } = this.value;
        this.value.hidden = hidden.includes(name) ? hidden.filter((one) => one !== name) : [...hidden, name];
        this.commit();
    }
}
