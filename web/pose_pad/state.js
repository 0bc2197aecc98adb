// What the pad shows: the value, the time, the clip to correct, and undo. How the figure changes is in placing.js and
// correcting.js.
import { Wrong } from "./check.js";
import { Correcting } from "./correcting.js";
import { SIDES, clamp, keyAt, pointsOf, roundHalfEven } from "./figure.js";
import { History } from "./history.js";
import { groundAt, mended } from "./mend.js";
import { EASES, MAX_KEYS, MAX_SECONDS } from "./numbers.js";
import { copy, fits, newValue, onPicture, parsed, sameShape, withOwnParts, written } from "./value.js";

// Times nearer than half a frame are the same.
const same = (a, b, fps) => Math.abs(a - b) < 0.5 / fps;
const SHORTEST_RANGE = 4;
// The time line shows so much more than the clip, and a key frame can be dragged so far at once.
const LONGER = 1.25;

export class State extends Correcting {
    // save(text) keeps the value in the node; changed() redraws.
    constructor(save, changed) {
        super();
        Object.assign(this, { save, changed, time: 0, side: 0, handle: "wrist 0", onion: true, playing: false });
        this.longer = false;
        Object.assign(this, { ground: null, picture: null, mending: false, held: null });
        // What there is to say: a value that cannot be shown, one that is full, too many marks, a mark that was added.
        Object.assign(this, { locked: null, full: false, crowded: false, added: null });
        this.value = newValue();
        this.history = new History(written(this.value));
    }

    // A value from outside: a workflow that was opened, or nothing yet.
    load(text) {
        this.time = 0;
        this.quiet();
        if (text.trim()) {
            this.open(text);
            this.history = new History(this.locked ? text : written(this.value));
        } else {
            this.locked = null;
            this.value = newValue(this.likelyCanvas ?? undefined);
            this.history = new History(written(this.value));
        }
        this.changed();
    }

    // A text that is no value of this pad locks it: it is shown by nobody and changed by nobody.
    open(text) {
        try {
            this.value = parsed(text);
            this.locked = null;
        } catch (wrong) {
            if (!(wrong instanceof Wrong)) throw wrong;
            this.locked = wrong;
        }
    }

    startAgain() {
        this.value = newValue(this.likelyCanvas ?? (this.locked ? undefined : this.value.picture));
        Object.assign(this, { locked: null, time: 0 });
        this.commit();
    }

    quiet() {
        Object.assign(this, { full: false, crowded: false, added: null });
    }

    get untouched() {
        return !this.locked && written(this.value) === written(newValue(this.value.picture));
    }

    // Width and height of what the pose is placed on, null while that is not known: a picture from further upstream may
    // be changed on its way.
    get canvas() {
        if (!this.mending) return this.picture?.exact ? this.picture.size : null;
        return this.ground && [this.ground.width, this.ground.height];
    }

    get likelyCanvas() {
        return this.canvas ?? (this.mending ? null : this.picture?.size) ?? null;
    }

    // The picture to draw below the figure: not one that shows something else.
    get backdrop() {
        const { picture } = this;
        return picture && (picture.exact || sameShape(this.value.picture, picture.size)) ? picture : null;
    }

    setPicture(picture) {
        this.picture = picture;
        this.settle();
    }

    setGround(ground) {
        this.ground = ground;
        this.settle();
    }

    setMending(mending) {
        Object.assign(this, { mending, time: 0 });
        this.settle();
    }

    // A pose that nobody has touched, or that fits, follows its picture.
    settle() {
        const size = this.likelyCanvas;
        if (size && !this.locked && `${this.value.picture}` !== `${size}`) {
            if (this.untouched) {
                this.value = newValue(size);
                if (this.history.texts.length > 1) this.history.push(this.keep());
                else this.history = new History(this.keep());
            } else if (this.canvas && !this.misfit) {
                this.carrying(() => (this.value = onPicture(this.value, size)));
                this.history.push(this.keep());
            }
        }
        this.changed();
    }

    get misfit() {
        return this.canvas && !this.locked && !sameShape(this.value.picture, this.canvas) ? this.canvas : null;
    }

    // Whether the artist has first to decide what becomes of the value.
    get stopped() {
        return Boolean(this.locked || this.misfit);
    }

    // Whether the figure can be changed: it is shown where it belongs.
    get ready() {
        return !this.stopped && (!this.mending || Boolean(this.ground));
    }

    refit() {
        this.carrying(() => (this.value = onPicture(this.value, this.canvas)));
        this.commit();
    }

    // The first figure is kept as nothing, so that it stands on whatever picture arrives.
    keep() {
        const text = written(this.value);
        this.full = !fits(text);
        if (!this.full) this.save(this.untouched ? "" : text);
        return text;
    }

    // While something is dragged.
    touch() {
        if (this.added === "before") this.added = null;
        if (!this.locked) this.keep();
        this.changed();
    }

    // When it is let go: one step to undo.
    commit() {
        this.added = this.added === "now" ? "before" : null;
        if (!this.locked) {
            const text = this.keep();
            if (this.full) this.open(this.history.texts[this.history.at]);
            else this.history.push(text);
        }
        this.changed();
    }

    undo(text = this.history.undo()) {
        if (text === null) return;
        this.quiet();
        this.open(text);
        this.save(this.untouched ? "" : text);
        this.seek(Math.min(this.time, this.end));
    }

    redo() {
        this.undo(this.history.redo());
    }

    get fps() {
        return this.mending && this.ground ? this.ground.fps : this.value.fps;
    }

    get end() {
        // Its times are rounded.
        if (this.mending) return this.ground ? Math.round(this.ground.times.at(-1) * this.fps) / this.fps : 0;
        return this.value.keys.length > 1 ? this.value.keys.at(-1).t : 0;
    }

    // The last time that can be shown: no mark may lie after so many seconds.
    get last() {
        return Math.min(this.end, MAX_SECONDS);
    }

    // Seconds that the time line shows; it does not grow while something is dragged along it.
    get range() {
        if (this.held) return this.held;
        if (this.mending && this.ground) return Math.max(this.last, 1 / this.fps);
        if (this.mending) return Math.max(SHORTEST_RANGE, this.marks.at(-1)?.t ?? 0);
        return Math.min(Math.max(SHORTEST_RANGE, this.end * LONGER), MAX_SECONDS);
    }

    hold(on) {
        this.held = on ? this.range : null;
        if (!on) this.changed();
    }

    get marks() {
        return this.mending ? this.value.fixes : this.value.keys;
    }

    get mark() {
        return this.marks.find((mark) => same(mark.t, this.time, this.fps)) ?? null;
    }

    seek(seconds) {
        const last = Math.floor(this.range * this.fps + 1e-6);
        const time = clamp(Math.round(seconds * this.fps), 0, last) / this.fps;
        if (time !== this.time) Object.assign(this, { time, crowded: false, added: null });
        this.changed();
    }

    // Points at a time, as Python will make them; null while the clip to correct is not known, or nothing can be shown.
    pointsAt(seconds) {
        if (this.locked) return null;
        if (!this.mending) return pointsOf(keyAt(this.value.keys, seconds));
        return this.ground && mended(groundAt(this.ground, seconds, this.value.picture), this.value);
    }

    uncorrected() {
        return groundAt(this.ground, this.time, this.value.picture);
    }

    // The key that a drag changes: the one at this time, or a new one. A lone key is the whole pose.
    editedKey() {
        if (this.value.keys.length === 1 && this.time === 0) return this.value.keys[0];
        return this.mark ?? this.insert(this.value.keys, keyAt(this.value.keys, this.time));
    }

    // Where there is no room for one more, what it gives belongs to nothing.
    insert(marks, mark) {
        const made = copy({ ...mark, t: this.time });
        this.crowded = marks.length >= MAX_KEYS;
        if (this.crowded) return made;
        marks.push(made);
        marks.sort((a, b) => a.t - b.t);
        this.added = "now";
        return made;
    }

    addMark() {
        if (!this.ready || this.mark) return;
        if (!this.mending) this.insert(this.value.keys, keyAt(this.value.keys, this.time));
        else if (this.canChange()) this.change(this.side);
        else this.fix.body = {};
        this.added = null;
        this.commit();
    }

    get canRemove() {
        return Boolean(this.mark) && !this.stopped && (this.mending || this.marks.length > 1);
    }

    removeMark() {
        if (!this.canRemove) return;
        const { mark, marks } = this;
        marks.splice(marks.indexOf(mark), 1);
        this.quiet();
        this.commit();
    }

    // How many frames there are; null while the clip to correct is not known.
    get frames() {
        return this.mending && !this.ground ? null : roundHalfEven(this.end * this.fps) + 1;
    }

    moveMark(mark, seconds) {
        if (!this.ready) return;
        const last = Math.floor(Math.min(this.range, this.mending ? this.last : MAX_SECONDS) * this.fps + 1e-6);
        const at = clamp(Math.round(seconds * this.fps), 0, last) / this.fps;
        if (this.marks.some((other) => other !== mark && same(other.t, at, this.fps))) return;
        mark.t = at;
        this.marks.sort((a, b) => a.t - b.t);
        this.time = at;
        this.touch();
    }

    // The key frames keep their times.
    setRate(fps) {
        this.value.fps = fps;
        this.seek(this.time);
    }

    setEase(seconds) {
        this.value.ease = clamp(seconds, ...EASES);
        this.touch();
    }

    // What the detector found in a picture of that size takes the place of the key at this time; what it did not find
    // stays where it has been placed.
    place(found, missing, size) {
        const [key] = onPicture({ ...this.value, picture: size, keys: [found], fixes: [] }, this.value.picture).keys;
        const edited = this.editedKey();
        const guessed = (side) => missing.includes("body") || missing.includes(`${SIDES[side]} elbow`);
        const following = [0, 1].filter((side) => guessed(side) && this.follows(edited, side));
        Object.assign(edited, withOwnParts(key, edited, missing, this.value.picture), { t: edited.t });
        for (const side of following) this.bend(edited.elbows[side]);
        this.commit();
    }
}
