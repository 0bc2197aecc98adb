// Find, the pictures upstream and the words of the pad, with stand-ins for ComfyUI's page; writes what comes of them.
import { pathToFileURL } from "node:url";

const [folder] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${folder}/${path}.js`));
const { api } = await load("scripts/api");
const { app } = await load("scripts/app");
const pad = "extensions/echomimicv2/pose_pad";
const [{ find }, { Pictures }, { WORDS }] = await Promise.all(["find", "picture", "words"].map((one) => load(`${pad}/${one}`)));
// Nobody waits here.
globalThis.setTimeout = (action) => void Promise.resolve().then(action);

const inputs = { pad: "", image: ["1", 0], pose: ["3", 0] };
const { pose, ...alone } = inputs;
const prompt = { 1: { inputs: {} }, 2: { inputs: alone }, 3: { inputs: {} }, 4: { inputs: { pose: ["2", 0] } } };
const found = { pad_found: [{}], pad_missing: [], pad_size: [2, 2] };
const ended = (messages, outputs = {}) => ({ status: { messages }, outputs: { 2: outputs } });

// Runs Find against a server whose n-th look at history and queue is `looks[n]`: an entry, or what is in the queue.
async function search(looks, { output = prompt, refused = null, silent = false } = {}) {
    let [sent, look, waits] = [null, -1, []];
    app.graphToPrompt = async () => ({ output, workflow: {} });
    const answer = (content, ok = true) => ({ ok, json: async () => content });
    api.fetchApi = async (path, options) => {
        if (silent) throw new TypeError("Failed to fetch");
        if (path === "/prompt") {
            sent = JSON.parse(options.body);
            return refused ? answer(refused, false) : answer({ prompt_id: "ours" });
        }
        if (path.startsWith("/history")) look++;
        const now = looks[Math.min(look, looks.length - 1)];
        if (path.startsWith("/history")) return answer(now.status ? { ours: now } : {});
        const row = (one) => [{ other: 1, ours: 5, later: 9 }[one], one];
        return answer({ queue_running: (now.running ?? []).map(row), queue_pending: (now.pending ?? []).map(row) });
    };
    try {
        const shown = await find({ id: 2 }, [2, 2], (first) => waits.push(first));
        return { shown, sent, waits };
    } catch (error) {
        return { why: error.values ? error.name : error.message };
    }
}

const answers = {
    found: await search([
        { running: ["other"], pending: ["ours", "later"] },
        { running: ["ours"] },
        {},
        ended([["execution_success", {}]], found),
    ]),
    shown: await search([ended([["execution_success", {}]], { pad_ground: [{ fps: 24 }] })], {
        output: { ...prompt, 2: { inputs } },
    }),
    failed: await search([{ running: ["ours"] }, ended([["execution_error", { exception_message: "no memory\n" }]])]),
    interrupted: await search([{ running: ["ours"] }, ended([["execution_interrupted", {}]])]),
    removed: await search([{ pending: ["ours"] }, {}]),
    refused: await search([], { refused: { node_errors: { 1: { errors: [{ message: "bad", details: "no such file" }] } } } }),
    empty: await search([], { refused: {} }),
    silent: await search([], { silent: true }),
    muted: await search([], { output: { 1: prompt[1] } }),
};

// A graph of nodes that each take the picture of the one before; the last is the pad.
function chain(...nodes) {
    const graph = { links: new Map(), getNodeById: (id) => nodes.find((node) => node.id === id) };
    nodes.push({ type: "EchoMimicV2PosePad", title: "pad" });
    nodes.forEach((node, id) => {
        Object.assign(node, { id, graph });
        if (id === 0) return;
        graph.links.set(id, { origin_id: id - 1, origin_slot: 0 });
        node.inputs = [{ name: id === nodes.length - 1 ? "image" : "pixels", type: node.slot ?? "IMAGE", link: id }];
    });
    return new Pictures(nodes.at(-1));
}
const loader = (value = "in/a.png [output]") => ({ comfyClass: "LoadImage", title: "Load", widgets: [{ name: "image", value }] });
const node = (more = {}) => ({ type: "ImageScale", title: "Scale", ...more });
const file = { filename: "seen.png", subfolder: "", type: "temp" };
app.nodeOutputs = {};

const pictures = { loaded: chain(loader()).current() };
pictures.rerouted = chain(loader(), { type: "Reroute", slot: "*" }, node({ mode: 4 })).current();
const scaled = chain(loader(), node());
pictures.above = scaled.current();
scaled.arrived(file);
pictures.arrived = scaled.current();
scaled.node.graph.getNodeById(0).widgets[0].value = "other.png";
pictures.changed = scaled.current();
pictures.made = chain(node({ type: "VAEDecode", inputs: [] })).current();
pictures.latent = chain(loader(), node({ type: "VAEEncode" }), node({ type: "VAEDecode", slot: "LATENT" })).current();
app.nodeOutputs = { 1: { images: [file] } };
pictures.previewed = chain(loader(), node(), node()).current();
pictures.unconnected = new Pictures({ inputs: [{ name: "image", link: null }] }).current();

process.stdout.write(JSON.stringify({ answers, pictures, words: WORDS }));
