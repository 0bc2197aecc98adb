// What the pad shows and how it changes: the value, the time, the chosen handle, the clip to correct, and undo.
import { SIDES, add, clamp, keyAt, length, minus, pointsOf, scaled } from "./figure.js";
import { History } from "./history.js";
import { bentElbow, groundAt, mended, rootOf } from "./mend.js";
import { EASES, HAND_SIZES, MARGIN, MAX_KEYS, MAX_SECONDS, SCALES } from "./numbers.js";
import { copiedHand, copy, fits, mirroredKey, newValue, onPicture, parsed, written } from "./value.js";

// Times nearer than half a frame are the same.
const same = (a, b, fps) => Math.abs(a - b) < 0.5 / fps;
const SHORTEST_RANGE = 4;

export class State {
    // save(text) keeps the value in the node; changed() redraws.
    constructor(save, changed) {
        Object.assign(this, { save, changed, time: 0, side: 0, handle: "wrist 0", onion: true, playing: false });
        Object.assign(this, { ground: null, picture: null, full: false, mending: false });
        this.value = newValue();
        this.history = new History(written(this.value));
    }

    // A value from outside: a workflow that was opened, or nothing yet.
    load(text) {
        const value = parsed(text);
        this.value = value ?? newValue(this.picture?.size);
        this.time = 0;
        this.history = new History(written(this.value));
        if (!value) this.keep();
        this.changed();
    }

    setPicture(picture) {
        this.picture = picture;
        const untouched = this.history.texts.length === 1 && written(this.value) === written(newValue(this.value.picture));
        if (picture && (untouched || this.sameShape(picture.size)) && `${this.value.picture}` !== `${picture.size}`) {
            this.value = untouched ? newValue(picture.size) : onPicture(this.value, picture.size);
            this.history = new History(written(this.value));
            this.keep();
        }
        this.changed();
    }

    sameShape([width, height]) {
        const [from, tall] = this.value.picture;
        return Math.abs((from / tall / (width / height)) - 1) <= 0.01;
    }

    get misfit() {
        return this.picture && !this.sameShape(this.picture.size) ? this.picture.size : null;
    }

    refit() {
        this.value = onPicture(this.value, this.picture.size);
        this.commit();
    }

    keep() {
        const text = written(this.value);
        this.full = !fits(text);
        if (!this.full) this.save(text);
        return text;
    }

    // While something is dragged.
    touch() {
        this.keep();
        this.changed();
    }

    // When it is let go: one step to undo.
    commit() {
        const text = this.keep();
        if (this.full) this.value = parsed(this.history.texts[this.history.at]);
        else this.history.push(text);
        this.changed();
    }

    undo(text = this.history.undo()) {
        if (text === null) return;
        this.value = parsed(text);
        this.touch();
    }

    redo() {
        this.undo(this.history.redo());
    }

    get fps() {
        return this.mending && this.ground ? this.ground.fps : this.value.fps;
    }

    get end() {
        if (this.mending) return this.ground ? this.ground.times.at(-1) : SHORTEST_RANGE;
        return this.value.keys.length > 1 ? this.value.keys.at(-1).t : 0;
    }

    // Seconds that the time line shows.
    get range() {
        if (this.mending) return Math.max(this.end, 1 / this.fps);
        return Math.min(Math.max(SHORTEST_RANGE, this.end * 1.25), MAX_SECONDS);
    }

    get marks() {
        return this.mending ? this.value.fixes : this.value.keys;
    }

    get mark() {
        return this.marks.find((mark) => same(mark.t, this.time, this.fps)) ?? null;
    }

    seek(seconds) {
        const frame = Math.round(clamp(seconds, 0, this.range) * this.fps);
        this.time = frame / this.fps;
        this.changed();
    }

    // Points at a time, as Python will make them; null while the clip to correct is not known.
    pointsAt(seconds) {
        if (!this.mending) return pointsOf(keyAt(this.value.keys, seconds));
        return this.ground && mended(groundAt(this.ground, seconds, this.value.picture), this.value);
    }

    uncorrected() {
        return groundAt(this.ground, this.time, this.value.picture);
    }

    headAt() {
        return keyAt(this.value.keys, this.time).head;
    }

    shows(side) {
        return !this.value.hidden.includes(SIDES[side]);
    }

    // The key that a drag changes: the one at this time, or a new one. A lone key is the whole pose.
    editedKey() {
        if (this.value.keys.length === 1 && this.time === 0) return this.value.keys[0];
        return this.mark ?? this.insert(this.value.keys, keyAt(this.value.keys, this.time));
    }

    insert(marks, mark) {
        if (marks.length >= MAX_KEYS) return marks.at(-1);
        marks.push(copy({ ...mark, t: this.time }));
        marks.sort((a, b) => a.t - b.t);
        return marks.find((one) => one.t === this.time);
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

    // The hand to place anew, over what the clip shows: it begins where that is.
    redraw(side, angles) {
        const points = this.pointsAt(this.time);
        const usual = newValue(this.value.picture).keys[0][SIDES[side]];
        const place = this.frameOf(side, points) ?? usual;
        const fix = this.mark ?? this.insert(this.value.fixes, {});
        fix[SIDES[side]] = { hand: { ...usual, ...place, angles: [...(angles ?? usual.angles)] } };
    }

    bounded([x, y]) {
        const [width, height] = this.value.picture;
        return [clamp(x, -MARGIN * width, (1 + MARGIN) * width), clamp(y, -MARGIN * height, (1 + MARGIN) * height)];
    }

    sized(size) {
        const side = Math.max(...this.value.picture);
        return clamp(size, HAND_SIZES[0] * side, HAND_SIZES[1] * side);
    }

    moveWrist(side, to) {
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
        const target = this.within(shoulder, this.bounded(to), this.arm(side).reduce((sum, bone) => sum + bone, 0));
        key.elbows[side] = this.bounded(bentElbow(shoulder, elbow, wrist, target));
        key[name] = { ...key[name], wrist: target };
    }

    // Lengths of the upper arm and the forearm: free for one frame, for a clip as long as they look in its keys.
    arm(side) {
        if (this.value.keys.length < 2) return [Infinity, Infinity];
        const longest = (bone) => Math.max(...this.value.keys.map((key) => length(bone(key))));
        return [
            longest((key) => minus(key.elbows[side], key.shoulders[side])),
            longest((key) => minus(key[SIDES[side]].wrist, key.elbows[side])),
        ];
    }

    within(root, to, most) {
        const way = minus(to, root);
        return length(way) > most ? add(root, scaled(way, most / length(way))) : to;
    }

    moveElbow(side, to) {
        const [key, [upper, fore]] = [this.editedKey(), this.arm(side)];
        key.elbows[side] = this.within(key.shoulders[side], this.bounded(to), upper);
        const hand = key[SIDES[side]];
        key[SIDES[side]] = { ...hand, wrist: this.within(key.elbows[side], hand.wrist, fore) };
    }

    moveShoulder(side, to) {
        this.editedKey().shoulders[side] = this.bounded(to);
    }

    moveNeck(to) {
        const key = this.editedKey();
        const shift = minus(this.bounded(to), key.neck);
        const move = (point) => this.bounded(add(point, shift));
        key.neck = move(key.neck);
        for (const part of ["shoulders", "elbows"]) key[part] = key[part].map(move);
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
        Object.assign(key, mirroredKey(key, this.value.picture[0]));
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

    addMark() {
        if (this.mending) this.change(this.side);
        else if (!this.mark) this.insert(this.value.keys, keyAt(this.value.keys, this.time));
        this.commit();
    }

    removeMark() {
        const { mark, marks } = this;
        if (!mark || (!this.mending && marks.length === 1)) return;
        marks.splice(marks.indexOf(mark), 1);
        this.commit();
    }

    moveMark(mark, seconds) {
        const at = Math.round(clamp(seconds, 0, this.mending ? this.end : MAX_SECONDS) * this.fps) / this.fps;
        if (this.marks.some((other) => other !== mark && same(other.t, at, this.fps))) return;
        mark.t = at;
        this.marks.sort((a, b) => a.t - b.t);
        this.time = at;
        this.touch();
    }

    setEase(seconds) {
        this.value.ease = clamp(seconds, ...EASES);
        this.touch();
    }

    // What the detector found takes the place of the key at this time.
    place(key) {
        const edited = this.editedKey();
        Object.assign(edited, copy(key), { t: edited.t });
        this.commit();
    }
}
