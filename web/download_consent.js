// The switch that allows downloads is the artist's own: a workflow file neither keeps nor brings it switched on.
import { app } from "../../scripts/app.js";

const SWITCHES = { EchoMimicV2Loader: "download_missing" };

function switchOff(saved, place, name) {
    if (Array.isArray(saved.widgets_values) && place in saved.widgets_values) saved.widgets_values[place] = false;
    for (const named of [saved.widgets_values_named, saved.widgets_values])
        if (named && !Array.isArray(named) && name in named) named[name] = false;
}

function forget(node) {
    const widget = node.widgets?.find((widget) => widget.name === SWITCHES[node.type]);
    if (widget) widget.value = false;
}

app.registerExtension({
    name: "EchoMimicV2.DownloadConsent",

    beforeRegisterNodeDef(nodeType, nodeData) {
        const name = SWITCHES[nodeData.name];
        if (!name) return;
        const { onSerialize, onConfigure } = nodeType.prototype;
        nodeType.prototype.onSerialize = function (saved) {
            onSerialize?.apply(this, arguments);
            switchOff(saved, (this.widgets ?? []).findIndex((widget) => widget.name === name), name);
        };
        nodeType.prototype.onConfigure = function () {
            onConfigure?.apply(this, arguments);
            forget(this);
        };
    },

    setup() {
        // Files in the API's form, and pictures that hold nothing else, come in by another way.
        const { loadApiJson } = app;
        if (!loadApiJson) return;
        app.loadApiJson = async function () {
            const loaded = await loadApiJson.apply(this, arguments);
            for (const node of app.graph._nodes ?? []) forget(node);
            return loaded;
        };
    },
});
