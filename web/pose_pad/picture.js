// The picture behind the pad: as the last run showed it, or of the nearest node upstream that shows one.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

const BYPASSED = 4;
const MOST_NODES = 50;

const viewUrl = ({ filename, subfolder = "", type = "input" }) =>
    api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);

export const isConnected = (node, name) => node.inputs?.find((one) => one.name === name)?.link != null;

// The node at the other end of an input's link, also where that is outside of a subgraph.
function sourceOf(graph, input) {
    const link = input?.link == null ? null : (graph?.links?.get?.(input.link) ?? graph?.links?.[input.link]);
    if (!link) return null;
    const source = graph.getNodeById(link.origin_id);
    if (source) return source;
    const outside = app.graph?._nodes?.find((node) => node.subgraph === graph);
    return outside ? sourceOf(outside.graph, outside.inputs?.[link.origin_slot]) : null;
}

const handsOn = (node) => node.type === "Reroute" || node.mode === BYPASSED;
const carriesPictures = (input, node) => input.type === "IMAGE" || node.type === "Reroute";

// What is shown upstream: its address, the node's title, and whether it comes here as it is. Null if there is none.
function upstream(node) {
    const inputs = (one) => one.inputs?.filter((input) => carriesPictures(input, one)) ?? [];
    let open = inputs(node)
        .filter((input) => input.name === "image")
        .map((input) => [sourceOf(node.graph, input), true]);
    const seen = new Set();
    while (open.length && seen.size < MOST_NODES) {
        const [source, exact] = open.shift();
        if (!source || seen.has(source)) continue;
        seen.add(source);
        const url = handsOn(source) ? null : shownBy(source);
        if (url) return { url, exact, title: source.title };
        const further = inputs(source).map((input) => [sourceOf(source.graph, input), exact && handsOn(source)]);
        open = [...open, ...further];
    }
    return null;
}

function shownBy(node) {
    const chosen = node.widgets?.find((widget) => widget.name === "image")?.value;
    if (node.comfyClass === "LoadImage" && typeof chosen === "string" && chosen) return viewUrl(fileOf(chosen));
    const preview = app.nodeOutputs?.[node.id]?.images?.[0];
    return preview ? viewUrl(preview) : (node.imgs?.[0]?.src ?? null);
}

// "folder/name.png [output]" as LoadImage writes it.
function fileOf(chosen) {
    const [, path, type = "input"] = chosen.match(/^(.*?)(?: \[(\w+)\])?$/);
    const at = path.lastIndexOf("/");
    return { filename: path.slice(at + 1), subfolder: at < 0 ? "" : path.slice(0, at), type };
}

// Of the node: what its runs have shown, as long as nothing upstream has changed since.
export class Pictures {
    constructor(node) {
        Object.assign(this, { node, shown: null, above: null });
    }

    // A run has shown the picture as it arrives.
    arrived(file) {
        Object.assign(this, { shown: file ? viewUrl(file) : null, above: upstream(this.node)?.url });
    }

    // {url, exact, title} of the picture to draw, or null while nobody knows one.
    current() {
        if (!isConnected(this.node, "image")) return null;
        const above = upstream(this.node);
        if (this.shown && this.above === above?.url && !above?.exact) return { url: this.shown, exact: true };
        return above;
    }
}

export async function loadPicture({ url, exact, title }) {
    const image = new Image();
    image.src = url;
    await image.decode();
    return { url, exact, title, image, size: [image.naturalWidth, image.naturalHeight] };
}
