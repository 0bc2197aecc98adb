"""Speed Options: shortcuts on a MODEL that change the picture a little, all off unless asked for."""

from comfy_api.latest import io

from ...echomimic_core.choices import SPEED_PRESETS, TUNINGS
from ..types import schema

CUSTOM = "custom"


class EchoMimicV2SpeedOptions(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        phases = (
            ("guidance_start", "first tenth of the steps, which sets the posture"),
            ("guidance_middle", "middle six tenths of the steps, which form the details"),
            ("guidance_end", "last three tenths of the steps, which refine"),
        )
        return schema(
            node_id="EchoMimicV2SpeedOptions",
            display_name="EchoMimicV2 Speed Options",
            category="EchoMimicV2/model",
            description="Trades a little fidelity for speed. The defaults change nothing.",
            search="faster, accelerate, performance, cache, 加速, 提速",
            inputs=[
                io.Model.Input("model", tooltip="The MODEL from Load EchoMimicV2."),
                *(
                    io.Boolean.Input(
                        name,
                        default=True,
                        tooltip=f"Guidance in the {what}. Off: these steps take about half the time and follow picture "
                        "and voice less closely. No effect on the accelerated model, which has no guidance.",
                    )
                    for name, what in phases
                ),
                io.Int.Input(
                    "reuse_steps",
                    default=1,
                    min=1,
                    max=5,
                    tooltip="1 computes every step in full. 2 computes every other step in full and only the "
                    "outermost layers in between: nearly twice as fast, with softer motion. Not recommended for the "
                    "few steps of the accelerated model.",
                ),
                io.Int.Input(
                    "merge_reference",
                    default=1,
                    min=1,
                    max=4,
                    tooltip="2 merges the reference tokens in 2x2 blocks: faster at large sizes, with slightly less "
                    "fine texture.",
                ),
                io.Combo.Input(
                    "preset",
                    options=[CUSTOM, *SPEED_PRESETS],
                    default=CUSTOM,
                    optional=True,
                    tooltip="Shortcuts that go well together, in place of the settings above; custom takes those. "
                    "exact: none. fast: 1.6 times as fast or more, with slightly softer motion. fastest: about three "
                    "times as fast or more, for previews.",
                ),
                io.Combo.Input(
                    "tuning",
                    options=list(TUNINGS),
                    default=TUNINGS[0],
                    optional=True,
                    tooltip="What is tried on an NVIDIA GPU before the first run, and used only where it is equal and "
                    "faster. layout: the memory layout of pictures, in a moment. kernels: also small Triton kernels, "
                    "which take some seconds to compile. off: nothing.",
                ),
            ],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(
        cls,
        model,
        guidance_start,
        guidance_middle,
        guidance_end,
        reuse_steps,
        merge_reference,
        preset=CUSTOM,
        tuning=TUNINGS[0],
    ) -> io.NodeOutput:
        from dataclasses import replace

        from ...bridge.model import require_echomimic
        from ...bridge.payload import SPEED
        from ...echomimic_core.sampling.speed import PRESETS, TUNING, SpeedOptions

        require_echomimic(model, "EchoMimicV2 Speed Options")
        model = model.clone()
        custom = SpeedOptions((guidance_start, guidance_middle, guidance_end), reuse_steps, merge_reference)
        chosen = custom if preset == CUSTOM else PRESETS[preset]
        model.model_options["transformer_options"][SPEED] = replace(chosen, **TUNING[tuning])
        return io.NodeOutput(model)


NODES = [EchoMimicV2SpeedOptions]
