"""APDH Options: how strongly pose and voice steer, when, and how far the voice reaches."""

from comfy_api.latest import io

from ...echomimic_core.apdh.steering import KEYPOINT_GROUPS, REACHES
from ..types import APDH, schema

PHASE_TOOLTIPS = {
    "early": "in the first 10 % of denoising, where the posture is decided",
    "middle": "in the middle 60 %, where lips and details form",
    "late": "in the last 30 %, where colours and sharpness settle",
}


def strength_inputs(what: str, name: str) -> list:
    return [
        io.Float.Input(
            f"{name}_{phase}",
            default=1.0,
            min=0.0,
            max=2.0,
            step=0.05,
            tooltip=f"Strength of the {what} {when}. 1 is as trained, 0 switches it off there.",
        )
        for phase, when in PHASE_TOOLTIPS.items()
    ] + [
        io.Float.Input(
            f"{name}_start",
            default=0.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip=f"The {what} is ignored before this share of the denoising steps.",
        ),
        io.Float.Input(
            f"{name}_end",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip=f"The {what} is ignored after this share of the denoising steps.",
        ),
    ]


class EchoMimicV2APDHOptions(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            node_id="EchoMimicV2APDHOptions",
            display_name="EchoMimicV2 APDH Options",
            category="EchoMimicV2/sampling",
            description="Audio-Pose Dynamic Harmonization at inference. Untouched it changes nothing.",
            search="Audio-Pose Dynamic Harmonization, pose strength, audio strength, lip sync, gesture, 姿态强度, "
            "语音强度, 对口型, 手势",
            inputs=[
                *strength_inputs("hand pose", "pose"),
                *strength_inputs("voice", "audio"),
                io.Combo.Input(
                    "audio_reach",
                    options=list(REACHES),
                    default="body",
                    tooltip="What the voice may move: the whole body (as trained), only the head, or only the lips. "
                    "Head and lips are found from the pose's face points; a mask replaces them.",
                ),
                io.Float.Input(
                    "feather",
                    default=0.02,
                    min=0.0,
                    max=0.5,
                    step=0.01,
                    tooltip="Softness of the edge of that region, as a share of the picture. "
                    "0 is a hard edge, which may show.",
                ),
                io.Boolean.Input(
                    "draw_body", default=False, tooltip="Also draw the body. Only for models trained with it."
                ),
                io.Boolean.Input(
                    "draw_face", default=False, tooltip="Also draw the face. Only for models trained with it."
                ),
                io.Boolean.Input(
                    "draw_lips", default=False, tooltip="Also draw the lips. Only for models trained with it."
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White is where the voice may move the picture: one mask, or one for every frame.",
                ),
            ],
            outputs=[APDH.Output(display_name="apdh", tooltip="For the EchoMimicV2 Sampler or APDH Conditioning.")],
        )

    @classmethod
    def execute(cls, audio_reach, feather, mask=None, **widgets) -> io.NodeOutput:
        from ...echomimic_core.apdh.steering import APDHOptions

        def three(name: str) -> tuple[float, float, float]:
            return tuple(widgets[f"{name}_{phase}"] for phase in PHASE_TOOLTIPS)

        def span(name: str) -> tuple[float, float]:
            return widgets[f"{name}_start"], widgets[f"{name}_end"]

        groups = tuple(group for group in KEYPOINT_GROUPS if group == "hands" or widgets[f"draw_{group}"])
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
