// The picture behind the pad: of the node that feeds image, or the one that the last run showed.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

const viewUrl = ({ filename, subfolder = "", type = "input" }) =>
    api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);

// The node that feeds an input, through reroutes and out of the way of bypassed ones.
export function sourceOf(node, name) {
    let input = node.inputs?.find((one) => one.name === name);
    let graph = node.graph ?? app.graph;
    for (let step = 0; step < 50 && input?.link != null; step++) {
        const link = graph.links?.get?.(input.link) ?? graph.links?.[input.link];
        const source = link && graph.getNodeById(link.origin_id);
        if (!source) return null;
        if (source.type !== "Reroute") return source;
        input = source.inputs?.[0];
    }
    return null;
}

export const isConnected = (node, name) => node.inputs?.find((one) => one.name === name)?.link != null;

// Where the picture can be fetched, or null while nobody knows.
export function pictureUrl(node, shown) {
    const source = sourceOf(node, "image");
    if (!source) return null;
    const chosen = source.widgets?.find((widget) => widget.name === "image")?.value;
    if (source.comfyClass === "LoadImage" && typeof chosen === "string" && chosen) return viewUrl(fileOf(chosen));
    const preview = app.nodeOutputs?.[source.id]?.images?.[0];
    if (shown) return viewUrl(shown);
    return preview ? viewUrl(preview) : source.imgs?.[0]?.src ?? null;
}

// "folder/name.png [output]" as LoadImage writes it.
function fileOf(chosen) {
    const [, path, type = "input"] = chosen.match(/^(.*?)(?: \[(\w+)\])?$/);
    const at = path.lastIndexOf("/");
    return { filename: path.slice(at + 1), subfolder: at < 0 ? "" : path.slice(0, at), type };
}

export async function loadPicture(url) {
    const image = new Image();
    image.src = url;
    await image.decode();
    return { url, image, size: [image.naturalWidth, image.naturalHeight] };
}
