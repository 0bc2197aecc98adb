// The picture with the figure on it: drawing, zoom, and dragging by mouse, pen and touch.
import { HAND_BONES, SIDES, add, clamp, length, minus, scaled } from "./figure.js";
import { boxOf, handlesOf } from "./handles.js";

const LIMBS = [[1, 2], [1, 5], [2, 3], [3, 4], [5, 6], [6, 7], [1, 0]];
const HEAD = [0, 14, 15, 16, 17];
const LIMB_COLORS = {
    0: "#7a8cff", 2: "#ff6b5e", 3: "#ff9a3d", 4: "#ffd23d", 5: "#8be04e", 6: "#35d0a2", 7: "#39c3f2",
};
// As the pose map colours bones: a rainbow, red and blue swapped.
const boneColor = (bone) => `hsl(${(600 - (bone * 360) / HAND_BONES.length) % 360} 100% 58%)`;
const [MIN_ZOOM, MAX_ZOOM] = [0.5, 12];
const REACH = { mouse: 13, pen: 16, touch: 26 };
const GRAB_HAND = 26;
// A hand's handles keep so far from the edge of the view.
const EDGE = 10;
// How handles look: radius, whether square, fill and rim. Those of the head are blue, and the whole figure's is yellow.
const LIGHT = "rgba(255, 255, 255, 0.92)";
const DARK = "rgba(20, 22, 28, 0.9)";
const LOOKS = {
    joint: { radius: 5.5, fill: LIGHT, rim: DARK },
    wrist: { radius: 8, fill: LIGHT, rim: DARK },
    turn: { radius: 7, fill: "rgba(20, 22, 28, 0.55)", rim: "#ffffff" },
    scale: { radius: 6, square: true, fill: LIGHT, rim: DARK },
    head: { radius: 6.5, fill: "#a9b8ff", rim: DARK },
    "head top": { radius: 6, square: true, fill: "#a9b8ff", rim: DARK },
    figure: { radius: 7, square: true, fill: "#ffd76a", rim: DARK },
};

export class Stage {
    constructor(state) {
        this.state = state;
        this.canvas = document.createElement("canvas");
        this.canvas.className = "emv2-pad-stage";
        this.canvas.tabIndex = 0;
        this.zoom = 1;
        this.pan = [0, 0];
        this.pointers = new Map();
        this.hover = null;
        for (const kind of ["down", "move", "up", "cancel", "leave"])
            this.canvas.addEventListener(`pointer${kind}`, (event) => this[kind](event));
        this.canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
        this.canvas.addEventListener("dblclick", () => this.fit());
        this.canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    }

    fit() {
        this.zoom = 1;
        this.pan = [0, 0];
        this.draw();
    }

    // Pixels of the screen per pixel of the element: the graph scales what stands in it.
    get stretch() {
        const box = this.canvas.getBoundingClientRect();
        return box.width / (this.canvas.clientWidth || 1) || 1;
    }

    get scale() {
        const [width, height] = this.state.value.picture;
        return Math.min(this.canvas.clientWidth / width, this.canvas.clientHeight / height) * 0.94 * this.zoom;
    }

    get origin() {
        const [width, height] = this.state.value.picture;
        const middle = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2];
        return add(add(middle, this.pan), scaled([-width / 2, -height / 2], this.scale));
    }

    toElement(point) {
        return add(this.origin, scaled(point, this.scale));
    }

    toPicture(point) {
        return scaled(minus(point, this.origin), 1 / this.scale);
    }

    at(event) {
        const box = this.canvas.getBoundingClientRect();
        return scaled([event.clientX - box.left, event.clientY - box.top], 1 / this.stretch);
    }

    handles() {
        const { canvas, state } = this;
        const ends = [[EDGE, EDGE], [canvas.clientWidth - EDGE, canvas.clientHeight - EDGE]];
        const view = ends.map((end) => this.toPicture(end));
        return handlesOf(state, state.pointsAt(state.time), view, this.dragged);
    }

    hit(point, reach) {
        const near = (one) => length(minus(this.toElement(one.at), point)) - (one.kind === "wrist" ? 3 : 0);
        const best = this.handles().map((one) => ({ one, far: near(one) })).sort((a, b) => a.far - b.far)[0];
        if (best && best.far <= reach) return best.one;
        return this.hitHand(point);
    }

    // A hand is also taken hold of anywhere between its points.
    hitHand(point) {
        const points = this.state.pointsAt(this.state.time);
        const found = SIDES.map((_, side) => {
            const shown = this.state.shows(side) ? points?.hands[side].filter(Boolean) ?? [] : [];
            return { side, far: Math.min(...shown.map((one) => length(minus(this.toElement(one), point)))) };
        }).sort((a, b) => a.far - b.far)[0];
        if (!(found.far <= GRAB_HAND)) return null;
        return this.handles().find((one) => one.id === `wrist ${found.side}`) ?? null;
    }

    down(event) {
        this.canvas.focus({ preventScroll: true });
        this.canvas.setPointerCapture(event.pointerId);
        const at = this.at(event);
        this.pointers.set(event.pointerId, at);
        event.preventDefault();
        if (this.pointers.size > 1) {
            this.finish();
            this.dragged = null;
            return;
        }
        const handle = event.button === 0 ? this.hit(at, REACH[event.pointerType] ?? REACH.mouse) : null;
        const offset = handle && minus(handle.at, this.toPicture(at));
        this.dragged = handle && { id: handle.id, place: handle.place, offset, moved: false };
        if (handle) this.choose(handle);
    }

    choose(handle) {
        this.state.handle = handle.id;
        if (handle.side !== undefined) this.state.side = handle.side;
        this.state.changed();
    }

    move(event) {
        const at = this.at(event);
        if (!this.pointers.has(event.pointerId)) {
            const hover = this.hit(at, REACH.mouse)?.id ?? null;
            if (hover !== this.hover) {
                this.hover = hover;
                this.canvas.style.cursor = hover ? "grab" : "default";
                this.draw();
            }
            return;
        }
        const before = this.pointers.get(event.pointerId);
        if (this.pointers.size > 1) this.pinch(event.pointerId, at);
        this.pointers.set(event.pointerId, at);
        if (this.pointers.size > 1) return;
        if (!this.dragged) {
            this.pan = add(this.pan, minus(at, before));
            return this.draw();
        }
        if (length(minus(at, before)) === 0) return;
        const handle = this.handles().find((one) => one.id === this.dragged.id);
        if (!handle) return;
        this.canvas.style.cursor = "grabbing";
        this.dragged.moved = true;
        handle.drag(add(this.toPicture(at), this.dragged.offset), event.altKey || this.state.longer);
        this.state.touch();
    }

    pinch(id, at) {
        const before = this.pointers.get(id);
        const [, other] = [...this.pointers].find(([one]) => one !== id);
        this.zoomAt(other, length(minus(at, other)) / Math.max(length(minus(before, other)), 1));
        this.pan = add(this.pan, scaled(minus(at, before), 0.5));
        this.draw();
    }

    up(event) {
        this.pointers.delete(event.pointerId);
        this.finish();
    }

    cancel(event) {
        this.up(event);
    }

    leave() {
        this.hover = null;
        this.draw();
    }

    finish() {
        if (this.dragged?.moved) this.state.commit();
        this.dragged = null;
        this.canvas.style.cursor = "default";
    }

    wheel(event) {
        event.preventDefault();
        event.stopPropagation();
        this.zoomAt(this.at(event), Math.exp(-event.deltaY * 0.0015));
    }

    zoomAt(point, factor) {
        const held = this.toPicture(point);
        this.zoom = clamp(this.zoom * factor, MIN_ZOOM, MAX_ZOOM);
        this.pan = add(this.pan, minus(point, this.toElement(held)));
        this.draw();
    }

    // Moves the chosen handle by pixels of the picture; `alt` as with the pointer.
    nudge(by, alt) {
        const handle = this.handles().find((one) => one.id === this.state.handle);
        if (!handle) return;
        handle.drag(add(handle.at, by), alt || this.state.longer);
        this.state.commit();
    }

    // The next handle, or the one before, for the keyboard.
    cycle(step) {
        const handles = this.handles();
        if (!handles.length) return;
        const at = handles.findIndex((one) => one.id === this.state.handle);
        this.choose(handles[(at + step + handles.length) % handles.length]);
    }

    draw() {
        const { canvas, state } = this;
        const [width, height] = [canvas.clientWidth, canvas.clientHeight];
        if (!width || !height) return;
        const density = Math.min(Math.max((window.devicePixelRatio || 1) * this.stretch, 1), 3);
        if (canvas.width !== Math.round(width * density)) canvas.width = Math.round(width * density);
        if (canvas.height !== Math.round(height * density)) canvas.height = Math.round(height * density);
        const pen = canvas.getContext("2d");
        pen.setTransform(density, 0, 0, density, 0, 0);
        pen.clearRect(0, 0, width, height);
        this.drawPicture(pen);
        const points = state.pointsAt(state.time);
        if (!points) return;
        if (state.onion && !state.playing) this.drawOnion(pen);
        this.drawFigure(pen, points, 1);
        if (!state.playing) this.drawHandles(pen);
    }

    drawPicture(pen) {
        const { backdrop: picture, value } = this.state;
        const [from, to] = [this.toElement([0, 0]), this.toElement(value.picture)];
        const box = [...from, ...minus(to, from)];
        pen.fillStyle = "#15171c";
        pen.fillRect(...box);
        if (picture?.image) {
            const [x, y, width, height] = box;
            const [wide, tall] = picture.size;
            const fitted = Math.min(width / wide, height / tall);
            const [w, h] = [wide * fitted, tall * fitted];
            pen.drawImage(picture.image, x + (width - w) / 2, y + (height - h) / 2, w, h);
            pen.fillStyle = "rgba(10, 12, 18, 0.28)";
            pen.fillRect(...box);
        }
        pen.strokeStyle = "rgba(255, 255, 255, 0.18)";
        pen.lineWidth = 1;
        pen.strokeRect(...box);
    }

    // The keys before and after; of a clip to correct, the frame as it was.
    drawOnion(pen) {
        const { state } = this;
        if (state.mending) return this.drawFigure(pen, state.uncorrected(), 0.25);
        const gap = 0.5 / state.fps;
        const before = state.marks.filter((mark) => mark.t < state.time - gap).at(-1);
        const after = state.marks.find((mark) => mark.t > state.time + gap);
        for (const mark of [before, after]) if (mark) this.drawFigure(pen, state.pointsAt(mark.t), 0.22);
    }

    drawFigure(pen, { body, face, hands }, strength) {
        pen.save();
        pen.globalAlpha = strength;
        pen.lineCap = "round";
        for (const [a, b] of LIMBS) {
            const side = [4, 3, 2].includes(b) ? 1 : 0;
            const ends = [body[a], body[b]];
            if (!ends.every(Boolean) || ([4, 7].includes(b) && !this.state.shows(side))) continue;
            this.line(pen, ...ends, LIMB_COLORS[b], 5, 0.72 * strength);
        }
        // A clip to correct comes without its face: then eyes, ears and nose say where the head is.
        const head = face.length ? face : HEAD.map((point) => body[point]).filter(Boolean);
        for (const point of head) this.dot(pen, point, face.length ? 1.3 : 2.5, "rgba(255, 255, 255, 0.85)");
        hands.forEach((hand, side) => {
            if (!this.state.shows(side)) return;
            HAND_BONES.forEach(([a, b], bone) => {
                if (hand[a] && hand[b]) this.line(pen, hand[a], hand[b], boneColor(bone), 2.6, strength);
            });
            for (const point of hand) if (point) this.dot(pen, point, 2.2, "#ff4d4d");
        });
        pen.restore();
    }

    line(pen, a, b, color, width, strength) {
        const [from, to] = [this.toElement(a), this.toElement(b)];
        pen.beginPath();
        pen.moveTo(...from);
        pen.lineTo(...to);
        pen.globalAlpha = strength * 0.55;
        pen.strokeStyle = "#000";
        pen.lineWidth = width + 2;
        pen.stroke();
        pen.globalAlpha = strength;
        pen.strokeStyle = color;
        pen.lineWidth = width;
        pen.stroke();
    }

    dot(pen, point, radius, color) {
        pen.beginPath();
        pen.arc(...this.toElement(point), radius, 0, 2 * Math.PI);
        pen.fillStyle = color;
        pen.fill();
    }

    drawHandles(pen) {
        for (const { id, kind, at, from } of this.handles()) {
            const place = this.toElement(at);
            const chosen = id === this.state.handle;
            const { radius: usual, square, fill, rim } = LOOKS[kind];
            const radius = usual + (id === this.hover ? 1.5 : 0);
            if (from) this.dashed(pen, () => (pen.moveTo(...this.toElement(from)), pen.lineTo(...place)));
            if (kind === "figure" && (chosen || id === this.hover)) this.drawBox(pen);
            pen.beginPath();
            if (square) pen.rect(place[0] - radius, place[1] - radius, 2 * radius, 2 * radius);
            else pen.arc(...place, radius, 0, 2 * Math.PI);
            pen.fillStyle = chosen ? "#35d0a2" : fill;
            pen.fill();
            pen.lineWidth = 2;
            pen.strokeStyle = chosen ? "#ffffff" : rim;
            pen.stroke();
            if (kind === "turn") this.drawArrow(pen, place, radius);
        }
    }

    // What the figure's corner scales.
    drawBox(pen) {
        const [from, to] = boxOf(this.state.pointsAt(this.state.time)).map((corner) => this.toElement(corner));
        this.dashed(pen, () => pen.rect(...from, ...minus(to, from)));
    }

    dashed(pen, path) {
        pen.setLineDash([3, 4]);
        pen.strokeStyle = "rgba(255, 255, 255, 0.55)";
        pen.lineWidth = 1.2;
        pen.beginPath();
        path();
        pen.stroke();
        pen.setLineDash([]);
    }

    drawArrow(pen, [x, y], radius) {
        pen.beginPath();
        pen.arc(x, y, radius * 0.5, -2.4, 1.6);
        pen.strokeStyle = "#fff";
        pen.lineWidth = 1.5;
        pen.stroke();
    }
}
