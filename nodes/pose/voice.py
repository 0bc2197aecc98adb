"""Voice Gestures: hands that answer the voice."""

from comfy_api.latest import io, ui

from .. import types
from .inputs import fps_input

KEEP = ["hands and arms", "hands"]
NO_MODEL = "none"


class EchoMimicV2VoiceGestures(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        from ...bridge.gestures import list_planners

        return types.schema(
            node_id="EchoMimicV2VoiceGestures",
            display_name="EchoMimicV2 Voice Gestures",
            category="EchoMimicV2/pose",
            description="Generates hand gestures from a voice: strokes on its accents, rest in its pauses. No "
            "driving video needed.",
            search="gesture, co-speech gestures, speech to gesture, audio to motion, audio driven, voice, "
            "hands from voice, 手势, 语音, 语音驱动手势, 动作生成",
            inputs=[
                io.Audio.Input("audio", tooltip="The voice: the audio output of Audio Embeds, or Load Audio."),
                io.Int.Input(
                    "frames",
                    default=0,
                    min=0,
                    max=100_000,
                    tooltip="Length of the clip in frames; 0 matches the voice. After the voice ends, the hands rest.",
                ),
                fps_input(),
                io.Float.Input(
                    "energy",
                    default=1.0,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="How lively the gestures are: higher means more and wider strokes. 1 is a calm speaker.",
                ),
                io.Float.Input(
                    "variety",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="0 always picks the best-fitting stroke; 1 is the most varied.",
                ),
                io.Float.Input(
                    "rest",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How readily the hands come to rest in pauses.",
                ),
                io.Combo.Input(
                    "keep",
                    options=KEEP,
                    default=KEEP[0],
                    tooltip="Align Pose needs hands and arms; hands leaves out body and face.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**31 - 1,
                    control_after_generate=False,
                    tooltip="A different seed gives different gestures; the same inputs and seed always give the "
                    "same result.",
                ),
                types.Gestures.Input(
                    "gestures",
                    optional=True,
                    tooltip="A library from Load Gestures. Leave unconnected for the built-in gestures.",
                ),
                io.String.Input(
                    "cues",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="Gestures at exact times, one per line: seconds and a gesture, for example '2.4 thumb up'.",
                ),
                io.Combo.Input(
                    "model",
                    options=[NO_MODEL, *list_planners()],
                    default=NO_MODEL,
                    optional=True,
                    tooltip="A gesture model from models/echomimic/gestures, trained on hours of video. It replaces "
                    "gestures, energy, variety and rest, takes no cues, and needs the Whisper encoder.",
                ),
            ],
            outputs=[
                types.Pose.Output("pose", display_name="pose"),
                io.String.Output(
                    "report", display_name="report", tooltip="The analysis of the voice, and the time of each stroke."
                ),
                io.Image.Output("timeline", display_name="timeline", tooltip="Voice, accents and strokes."),
            ],
        )

    @classmethod
    def validate_inputs(cls, model=None):
        # The list changes: what is gone gets the node's own sentence.
        return True

    @classmethod
    def execute(
        cls, audio, frames, fps, energy, variety, rest, keep, seed, gestures=None, cues="", model=NO_MODEL
    ) -> io.NodeOutput:
        from dataclasses import replace

        import torch

        from ...bridge.images import to_images
        from ...bridge.progress import cancellable_progress
        from ...bridge.reports import say
        from ...echomimic_core.gestures import timeline
        from ...echomimic_core.gestures.library import built_in
        from ...echomimic_core.gestures.motion import gestures_for
        from ...echomimic_core.gestures.plan import PlanSettings
        from ...echomimic_core.media.waveform import resample

        if audio is None:
            raise ValueError("There is no audio: the source video is silent. Load a voice with Load Audio.")
        voice = torch.from_numpy(resample(audio["waveform"], audio["sample_rate"]))
        cues, progress = timeline.parse_cues(cues or ""), cancellable_progress()
        if model != NO_MODEL:
            pose, plan, heard = by_model(model, voice, frames, fps, seed, gestures, cues, progress)
        else:
            if gestures is not None and abs(gestures.fps - fps) > 1e-6:
                raise ValueError(
                    f"the gestures are at {gestures.fps:g} fps, but the clip at {fps:g}: set both to the same value"
                )
            settings = PlanSettings(energy, variety, rest, seed)
            pose, plan, heard = gestures_for(voice, gestures or built_in(fps), settings, frames, cues, progress)
        if keep == "hands":
            pose = replace(pose, bodies=None, body_scores=None, faces=None, face_scores=None)
        report = timeline.report(heard, plan, "" if model == NO_MODEL else model)
        say(report)
        picture = to_images(timeline.picture(voice, heard, plan)[None])
        return io.NodeOutput(pose, report, picture, ui=ui.PreviewImage(picture, cls=cls))


def by_model(model, voice, frames, fps, seed, gestures, cues, progress):
    """Pose, plan and analysis of a voice (samples,) by a gesture model."""
    from ...bridge.gestures import find_planner, whisper_states
    from ...echomimic_core.gestures.trained import hands_of_voice, load_planner

    if cues or gestures is not None:
        raise ValueError(f"the gesture model {model} takes no cues and no gestures: remove them, or set model to none")
    planner = load_planner(find_planner(model))
    return hands_of_voice(planner, whisper_states(voice, progress), voice, frames, fps, seed, progress)


NODES = [EchoMimicV2VoiceGestures]
