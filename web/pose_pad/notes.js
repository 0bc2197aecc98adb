// The one thing that the pad has to say: first what keeps it from working, last what is good to know.
import { MAX_SECONDS } from "./numbers.js";
import { element } from "./style.js";

// {text, kind: "bad" or "info", buttons: [name of words, action]}, or null. `find` is {busy, said, forget}.
export function noteOf(state, words, connected, find) {
    const bad = (text, ...buttons) => ({ text, kind: "bad", buttons });
    const info = (text, ...buttons) => ({ text, kind: "info", buttons });
    const deciding = (action) => () => {
        find.forget();
        action();
    };
    const startAgain = ["startAgain", deciding(() => state.startAgain())];
    if (state.locked) return bad(words("locked", { why: words(state.locked.name, state.locked.values) }), startAgain);
    if (state.misfit) {
        const sizes = { from: state.value.picture.join("×"), to: state.misfit.join("×") };
        const text = words(state.mending ? "misfitClip" : "misfit", sizes);
        const refit = ["refit", deciding(() => state.refit())];
        return bad(find.said && !state.mending ? `${text} ${words("thenFind")}` : text, refit, startAgain);
    }
    if (state.full) return bad(words(state.mending ? "fullFixes" : "full"));
    if (state.crowded) return bad(words(state.mending ? "crowdedFixes" : "crowded"));
    if (find.busy) return info(find.said);
    if (find.said) return bad(find.said, ["dismiss", find.forget]);
    if (state.mending) return noteOfClip(state, words, info);
    if (!connected) return info(words("noPicture"));
    if (!state.backdrop) return info(words("unseenPicture"));
    if (state.added) return info(words("added", { t: state.time.toFixed(2) }));
    if (!state.picture.exact) return info(words("picturedAbove", { title: state.picture.title }));
    return null;
}

function noteOfClip(state, words, info) {
    if (!state.ground) return info(words("waiting"));
    if (state.added) return info(words("addedFix", { t: state.time.toFixed(2) }));
    return state.end > MAX_SECONDS ? info(words("long", { most: MAX_SECONDS })) : null;
}

// The bar in which it stands, above the picture, with room for one line also while there is none. done() follows each
// press of a button, which is then gone.
export function noteBar(words, done) {
    const said = element("span", "emv2-pad-grow");
    const buttons = element("span", "emv2-pad-row");
    const bar = element("div", "emv2-pad-note", { role: "status" }, said, buttons);
    let shown = "";
    return {
        bar,
        update(note) {
            bar.className = `emv2-pad-note ${note?.kind ?? ""}`;
            const text = note ? [note.text, ...note.buttons.map(([name]) => name)].join("\n") : "";
            if (text === shown) return;
            shown = text;
            said.textContent = note?.text ?? "";
            const made = (note?.buttons ?? []).map(([name, action]) => {
                const onclick = () => done(action());
                return element("button", "", { type: "button", textContent: words(name), onclick });
            });
            buttons.replaceChildren(...made);
        },
    };
}
