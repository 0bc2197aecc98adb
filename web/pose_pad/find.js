// Find: runs this node alone, with a value that asks for the detector, and takes what it says.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

const SECONDS = 300;

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

// What the node shows after it has looked: {pad_found: [key], pad_missing: [...]}. Throws an Error that says why not.
export async function find(node, picture) {
    const { output, workflow } = await app.graphToPrompt();
    const id = Object.keys(output).find((one) => one === String(node.id) || one.endsWith(`:${node.id}`));
    if (!id) throw new Error("the node is muted or bypassed");
    const prompt = onlyWithAncestors(structuredClone(output), id);
    prompt[id].inputs.pad = JSON.stringify({ version: 1, picture, find: true });
    delete prompt[id].inputs.pose;
    const answer = await api.fetchApi("/prompt", {
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
    if (!answer.ok) throw new Error(reasonOf(queued));
    return await outputs(queued.prompt_id, id);
}

function reasonOf(refusal) {
    const first = Object.values(refusal.node_errors ?? {})[0]?.errors?.[0];
    return first?.details || first?.message || refusal.error?.message || "the server refused it";
}

async function outputs(prompt, id) {
    for (let waited = 0; waited < SECONDS; waited += 0.5) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        const entry = (await (await api.fetchApi(`/history/${prompt}`)).json())[prompt];
        if (!entry) continue;
        const failed = entry.status?.messages?.find(([kind]) => kind === "execution_error");
        if (failed) throw new Error(failed[1].exception_message);
        if (entry.status?.completed || entry.outputs?.[id]) {
            if (!entry.outputs?.[id]?.pad_found) throw new Error("it was interrupted");
            return entry.outputs[id];
        }
    }
    throw new Error("no answer");
}
