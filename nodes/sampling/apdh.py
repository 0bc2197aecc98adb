"""APDH Options: how strongly pose and voice steer, when, and how far the voice reaches."""

from comfy_api.latest import io

from ...echomimic_core.choices import KEYPOINT_GROUPS, REACHES
from ..types import APDH, schema

HANDS = ["as posed", "none"]

PHASE_TOOLTIPS = {
    "early": "in the first 10 % of denoising, which decides the posture",
    "middle": "in the middle 60 %, which forms lips and details",
    "late": "in the last 30 %, which settles colours and sharpness",
}


def strength_inputs(what: str, name: str) -> list:
    return [
        io.Float.Input(
            f"{name}_{phase}",
            default=1.0,
            min=0.0,
            max=2.0,
            step=0.05,
            tooltip=f"Strength of the {what} {when}. 1 is as trained, 0 turns it off.",
        )
        for phase, when in PHASE_TOOLTIPS.items()
    ] + [
        io.Float.Input(
            f"{name}_start",
            default=0.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip=f"The {what} is ignored before this fraction of the denoising steps.",
        ),
        io.Float.Input(
            f"{name}_end",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip=f"The {what} is ignored after this fraction of the denoising steps.",
        ),
    ]


class EchoMimicV2APDHOptions(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            node_id="EchoMimicV2APDHOptions",
            display_name="EchoMimicV2 APDH Options",
            category="EchoMimicV2/sampling",
            description="Controls Audio-Pose Dynamic Harmonization at inference. The defaults change nothing.",
            search="Audio-Pose Dynamic Harmonization, pose strength, audio strength, lip sync, gesture, no hands, "
            "head only, headshot, lips only, 姿态强度, 语音强度, 对口型, 手势, 无手, 只要头部, 大头照",
            inputs=[
                *strength_inputs("hand pose", "pose"),
                *strength_inputs("voice", "audio"),
                io.Combo.Input(
                    "audio_reach",
                    options=list(REACHES),
                    default="body",
                    tooltip="What the voice may move: the whole body (as trained), only the head, or only the lips. "
                    "Head and lips are located by the face points of the pose; a mask overrides this.",
                ),
                io.Float.Input(
                    "feather",
                    default=0.02,
                    min=0.0,
                    max=0.5,
                    step=0.01,
                    tooltip="Softness of the edge of that region, as a fraction of the picture. 0 gives a hard edge, "
                    "which may be visible.",
                ),
                io.Boolean.Input(
                    "draw_body", default=False, tooltip="Also draws the body. Only for models trained with it."
                ),
                io.Boolean.Input(
                    "draw_face", default=False, tooltip="Also draws the face. Only for models trained with it."
                ),
                io.Boolean.Input(
                    "draw_lips", default=False, tooltip="Also draws the lips. Only for models trained with it."
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White marks where the voice may move the picture: one mask, or one per frame.",
                ),
                io.Combo.Input(
                    "hands",
                    options=HANDS,
                    default=HANDS[0],
                    optional=True,
                    tooltip="none: no hands are drawn for the model, for pictures of head and shoulders. as posed: the "
                    "hands of the pose.",
                ),
            ],
            outputs=[APDH.Output(display_name="apdh", tooltip="For EchoMimicV2 Sampler or APDH Conditioning.")],
        )

    @classmethod
    def execute(cls, audio_reach, feather, mask=None, hands=HANDS[0], **widgets) -> io.NodeOutput:
        from ...echomimic_core.apdh.steering import APDHOptions

        def three(name: str) -> tuple[float, float, float]:
            return tuple(widgets[f"{name}_{phase}"] for phase in PHASE_TOOLTIPS)

        def span(name: str) -> tuple[float, float]:
            return widgets[f"{name}_start"], widgets[f"{name}_end"]

        drawn = {"hands": hands != "none"} | {group: widgets[f"draw_{group}"] for group in KEYPOINT_GROUPS[1:]}
        groups = tuple(group for group in KEYPOINT_GROUPS if drawn[group])
        return io.NodeOutput(
            APDHOptions(
                pose_strength=three("pose"),
                audio_strength=three("audio"),
                pose_range=span("pose"),
                audio_range=span("audio"),
                keypoints=groups,
                reach=audio_reach,
                mask=mask,
                feather=feather,
            )
        )


NODES = [EchoMimicV2APDHOptions]
