// A colour for each of our socket types, in the classic page and in Nodes 2.0.
import { app } from "../../scripts/app.js";

const COLORS = {
  ECHOMIMIC_POSE: "#35D0A2",
  ECHOMIMIC_REFERENCE: "#5CC8FF",
  ECHOMIMIC_REFERENCE_NET: "#8C9EFF",
  ECHOMIMIC_AUDIO: "#F6C85F",
  ECHOMIMIC_AUDIO_ENCODER: "#C9A227",
  ECHOMIMIC_APDH: "#E07BE0",
  ECHOMIMIC_GESTURES: "#A3E048",
  ECHOMIMIC_PEOPLE: "#FF9E6B",
  ECHOMIMIC_CROP: "#F2727F",
};

// A colour palette empties the colours of the types that it does not know: ours come back unless it names one.
function setColor(table, type, color) {
  let shown = table[type] || color;
  Object.defineProperty(table, type, {
    configurable: true,
    enumerable: true,
    get: () => shown,
    set: (chosen) => (shown = chosen || color),
  });
}

app.registerExtension({
  name: "EchoMimicV2.Colors",
  setup() {
    for (const [type, color] of Object.entries(COLORS)) {
      setColor(app.canvas.default_connection_color_byType, type, color);
      setColor(app.canvas.constructor.link_type_colors, type, color);
    }
    // Nodes 2.0 reads CSS variables; a palette sets them on the root element, which wins over this rule.
    const rule = document.createElement("style");
    const variables = Object.entries(COLORS).map(([type, color]) => `--color-datatype-${type}: ${color};`);
    rule.textContent = `:root { ${variables.join(" ")} }`;
    document.head.append(rule);
  },
});
