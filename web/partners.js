// What the page offers for a wire of ours dropped on empty canvas. It counts required inputs only, in the order in
// which nodes are registered; the samplers take pose and apdh as optional inputs, so they are entered here.
import { app } from "../../scripts/app.js";

const TAKERS = {
  ECHOMIMIC_POSE: ["EchoMimicV2Sampler"],
  ECHOMIMIC_GESTURES: ["EchoMimicV2VoiceGestures"],
  ECHOMIMIC_CROP: ["EchoMimicV2PastePerson", "EchoMimicV2AlignPose"],
  ECHOMIMIC_APDH: ["EchoMimicV2Sampler", "EchoMimicV2LongSampler", "EchoMimicV2APDHConditioning"],
};

app.registerExtension({
  name: "EchoMimicV2.Partners",
  init() {
    const offered = app.extensions?.find(({ name }) => name === "Comfy.SlotDefaults")?.slot_types_default_out;
    for (const [type, takers] of Object.entries(TAKERS)) {
      if (offered) offered[type] = ["Reroute", ...takers, ...(offered[type] ?? []).slice(1)];
    }
  },
});
