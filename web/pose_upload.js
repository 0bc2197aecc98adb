// Load Pose takes pose files from the artist's disk: by a button, and dropped on the node.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const NODE = "EchoMimicV2LoadPose";
const ENDINGS = [".json", ".safetensors", ".zip"];
const LABELS = { zh: "选择要上传的姿态文件", en: "choose pose file to upload" };

const isPose = (file) => ENDINGS.some((ending) => file.name.toLowerCase().endsWith(ending));
const label = () => {
    const locale = app.extensionManager?.setting?.get("Comfy.Locale") ?? "en";
    return locale.startsWith("zh") ? LABELS.zh : LABELS.en;
};

async function upload(node, file) {
    const body = new FormData();
    body.append("image", file);
    body.append("subfolder", "poses");
    const answer = await api.fetchApi("/upload/image", { method: "POST", body });
    if (answer.status !== 200) {
        const why = answer.status === 413 ? "it is too large for this server" : answer.statusText;
        app.extensionManager?.toast?.add({
            severity: "error",
            summary: `${file.name} could not be uploaded: ${why}`,
            life: 8000,
        });
        return;
    }
    const { name, subfolder } = await answer.json();
    const widget = node.widgets.find((widget) => widget.name === "folder");
    const value = subfolder ? `${subfolder}/${name}` : name;
    const choices = widget.options.values;
    if (Array.isArray(choices) && !choices.includes(value)) widget.options.values = [...choices, value].sort();
    widget.value = value;
    widget.callback?.(value);
    node.graph?.setDirtyCanvas(true, true);
}

function choose(node) {
    const input = document.createElement("input");
    input.type = "file";
    input.accept = ENDINGS.join(",");
    input.onchange = () => input.files[0] && upload(node, input.files[0]);
    input.click();
}

app.registerExtension({
    name: "EchoMimicV2.PoseUpload",

    nodeCreated(node) {
        if (node.comfyClass !== NODE) return;
        const button = node.addWidget("button", label(), null, () => choose(node), { serialize: false });
        button.serialize = false;

        const holdsFiles = (event) => [...(event.dataTransfer?.items ?? [])].some((item) => item.kind === "file");
        node.onDragOver = (event) => holdsFiles(event);
        // What is taken here is not opened as a workflow by the page.
        node.onDragDrop = async (event) => {
            const files = [...(event.dataTransfer?.files ?? [])].filter(isPose);
            if (!files.length) return false;
            await upload(node, files[0]);
            return true;
        };
    },
});
