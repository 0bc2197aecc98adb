// The time line: key frames or corrections as diamonds, the playhead, and a preview that plays.
import { clamp } from "./figure.js";
import { EASES } from "./numbers.js";
import { element, iconButton, setIcon, switchOff } from "./style.js";

const TICK_WIDTH = 34;
const RATES = [24, 25, 30];

export function timeline(state, words) {
    const play = iconButton("play", words("play"), () => toggle());
    const named = element("span", "emv2-pad-label");
    const add = iconButton("add", words("add"), () => state.addMark(), named);
    const remove = iconButton("remove", words("remove"), () => state.removeMark());
    const track = element("div", "emv2-pad-time", { tabIndex: 0 });
    track.setAttribute("role", "slider");
    track.setAttribute("aria-label", words("time"));
    const clock = element("span", "emv2-pad-clock");
    const ease = element("input", "", { type: "range", min: EASES[0], max: 2, step: 0.02, title: words("easeTip") });
    ease.setAttribute("aria-label", words("easeTip"));
    ease.oninput = () => state.setEase(Number(ease.value));
    ease.onchange = () => state.commit();
    const easing = element("label", "emv2-pad-ease", { title: words("easeTip") }, words("ease"), ease);
    const rate = element("select", "emv2-pad-box emv2-pad-rate", { title: words("rateTip") });
    rate.setAttribute("aria-label", words("rateTip"));
    rate.onchange = () => {
        state.setRate(Number(rate.value));
        state.commit();
    };
    const row = element("div", "emv2-pad-row", {}, play, track, add, remove, easing, rate, clock);

    let dragged = null;
    const seconds = (event) => {
        const box = track.getBoundingClientRect();
        return clamp((event.clientX - box.left) / box.width, 0, 1) * state.range;
    };
    track.addEventListener("pointerdown", (event) => {
        track.focus({ preventScroll: true });
        track.setPointerCapture(event.pointerId);
        const at = event.target.emv2Mark;
        dragged = { mark: at ?? null, moved: false };
        state.hold(true);
        state.seek(at ? at.t : seconds(event));
    });
    track.addEventListener("pointermove", (event) => {
        if (!dragged) return;
        dragged.moved = true;
        // The first key frame of a pose may stand anywhere, a lone one has no time.
        if (dragged.mark && (state.mending || state.marks.length > 1)) state.moveMark(dragged.mark, seconds(event));
        else state.seek(seconds(event));
    });
    function release() {
        if (dragged?.mark && dragged.moved) state.commit();
        dragged = null;
        state.hold(false);
    }
    track.addEventListener("pointerup", release);
    track.addEventListener("pointercancel", release);

    let begun = 0;
    function toggle() {
        state.playing = !state.playing && state.end > 0;
        begun = performance.now() - (state.time < state.last ? state.time : 0) * 1000;
        if (state.playing) requestAnimationFrame(step);
        state.changed();
    }
    function step(now) {
        if (!state.playing || !track.isConnected) return void (state.playing = false);
        state.seek(((now - begun) / 1000) % (state.last + 1 / state.fps));
        requestAnimationFrame(step);
    }

    function update() {
        setIcon(play, state.playing ? "stop" : "play");
        play.disabled = state.end <= 0;
        switchOff(row, Boolean(state.locked));
        named.textContent = words(state.mending ? "fix" : "key");
        add.title = words(state.mending ? "addFix" : "add");
        remove.title = words(state.mending ? "removeFix" : "remove");
        add.disabled = Boolean(state.mark) || !state.ready;
        remove.disabled = !state.canRemove;
        easing.style.display = state.mending ? "" : "none";
        ease.value = state.value.ease;
        const place = (time) => `${(100 * time) / state.range}%`;
        showRate();
        const whole = element("s");
        whole.style.width = place(state.end);
        const ticks = !state.frames ? [] : tickTimes(state.range, track.clientWidth / TICK_WIDTH).flatMap((time) => {
            const [tick, label] = [element("i"), element("u", "", { textContent: `${time}` })];
            tick.style.left = label.style.left = place(time);
            return [tick, label];
        });
        const marks = state.marks.map((mark) => {
            const shown = element("span", `emv2-pad-mark${mark === state.mark ? " on" : ""}`, { emv2Mark: mark });
            shown.style.left = `clamp(8px, ${place(mark.t)}, calc(100% - 8px))`;
            return shown;
        });
        const head = element("div", "emv2-pad-head");
        head.style.left = place(state.time);
        track.replaceChildren(whole, ...ticks, ...marks, head);
        track.setAttribute("aria-valuemin", 0);
        track.setAttribute("aria-valuemax", state.range.toFixed(2));
        track.setAttribute("aria-valuenow", state.time.toFixed(2));
        const { frames } = state;
        const length = frames > 1 ? words("frames", { n: frames }) : words("one");
        clock.textContent = frames ? `${state.time.toFixed(2)} s · ${length}` : "–";
    }
    // A clip to correct has a rate of its own; key frames make a clip of the rate that is chosen.
    function showRate() {
        const { fps } = state;
        const rates = [...new Set([...RATES, fps])].sort((a, b) => a - b);
        const option = (one) => new Option(words("rate", { n: one }), one);
        if (rate.emv2Rates !== `${rates}`) rate.replaceChildren(...rates.map(option));
        rate.emv2Rates = `${rates}`;
        rate.value = fps;
        rate.disabled = state.mending;
        rate.style.display = state.frames ? "" : "none";
    }
    return { row, track, update, toggle };
}

function tickTimes(range, most) {
    const step = [0.5, 1, 2, 5, 10, 30, 60, 120].find((one) => range / one <= most) ?? 120;
    return Array.from({ length: Math.floor(range / step) + 1 }, (_, i) => i * step).slice(1);
}
