// Find and Show: runs this node alone, with a value that asks for the detector, or over a clip for the clip, and takes
// what it says.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { Wrong } from "./check.js";

const POLL = 500;
// A prompt that was in neither list so many times is gone: between the two looks it may have moved from one to the
// other.
const GONE = 3;

// The node and all that feeds it, of a whole prompt: also what an older server without partial runs is to run.
function onlyWithAncestors(output, id) {
    const needed = new Set();
    const open = [id];
    while (open.length) {
        const one = open.pop();
        if (needed.has(one) || !output[one]) continue;
        needed.add(one);
        for (const value of Object.values(output[one].inputs)) if (Array.isArray(value)) open.push(String(value[0]));
    }
    return Object.fromEntries([...needed].map((one) => [one, output[one]]));
}

// What the node shows after it has looked: {pad_found: [key], pad_missing: [...], pad_size, pad_picture}; over a clip
// {pad_ground: [clip], pad_picture}.
// waiting(n) says how many prompts come first. Throws an Error that says why not; a Wrong names its sentence.
export async function find(node, picture, waiting) {
    const { output, workflow } = await app.graphToPrompt();
    const id = Object.keys(output).find((one) => one === String(node.id) || one.endsWith(`:${node.id}`));
    if (!id) throw new Wrong("whyMuted");
    const prompt = structuredClone(output);
    prompt[id].inputs.pad = JSON.stringify({ version: 1, picture, find: true });
    const answer = await fetched("/prompt", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({
            client_id: api.clientId,
            prompt: onlyWithAncestors(prompt, id),
            partial_execution_targets: [id],
            extra_data: { extra_pnginfo: { workflow } },
        }),
    });
    const queued = await answer.json();
    if (!answer.ok) throw refusal(queued);
    return result(await ended(queued.prompt_id, waiting), id);
}

async function fetched(path, options) {
    try {
        return await api.fetchApi(path, options);
    } catch {
        throw new Wrong("whySilent");
    }
}

const listed = async (path) => await (await fetched(path)).json();

function refusal({ node_errors: errors, error }) {
    const first = Object.values(errors ?? {})[0]?.errors?.[0];
    const said = first?.details || first?.message || error?.message;
    return said ? new Error(said) : new Wrong("whyRefused");
}

// The entry of the history, as soon as the prompt has ended in whatever way.
async function ended(prompt, waiting) {
    for (let gone = 0; gone < GONE; ) {
        const entry = (await listed(`/history/${prompt}`))[prompt];
        if (entry) return entry;
        const { queue_running: running, queue_pending: pending } = await listed("/queue");
        const ours = [...running, ...pending].find(([, one]) => one === prompt);
        gone = ours ? 0 : gone + 1;
        if (ours) waiting(running.includes(ours) ? 0 : running.length + pending.filter(([at]) => at < ours[0]).length);
        await new Promise((resolve) => setTimeout(resolve, POLL));
    }
    throw new Wrong("whyRemoved");
}

function result({ status, outputs }, id) {
    const failed = status?.messages?.find(([kind]) => kind === "execution_error");
    if (failed) throw new Error(failed[1].exception_message.trim());
    if (!outputs?.[id]?.pad_found && !outputs?.[id]?.pad_ground) throw new Wrong("whyInterrupted");
    return outputs[id];
}
