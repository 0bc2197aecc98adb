"""The voice: AUDIO in, what the denoiser hears out."""

import comfy.model_management
from comfy_api.latest import io

from ...bridge.progress import cancellable_progress
from ..types import AudioEncoder, AudioTokens, schema

SECONDS_IN_A_DAY = 86_400.0


class EchoMimicV2AudioEmbeds(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            node_id="EchoMimicV2AudioEmbeds",
            display_name="EchoMimicV2 Audio Embeds",
            category="EchoMimicV2/inputs",
            description="Listens to the voice and tells how many frames it asks for.",
            search="voice, speech, whisper, audio encode, audio driven, lip sync, talking head, avatar, 语音, "
            "音频, 声音, 对口型, 口播, 数字人",
            inputs=[
                AudioEncoder.Input("audio_encoder", tooltip="The Whisper encoder of Load EchoMimicV2."),
                io.Audio.Input(
                    "audio",
                    tooltip="The voice: any sample rate, mono or stereo, any length. "
                    "Music and noise move the lips too; separate the voice first.",
                ),
                io.Float.Input(
                    "fps",
                    default=24.0,
                    min=1.0,
                    max=120.0,
                    step=0.001,
                    tooltip="Frames a second of the video. The model was trained at 24: "
                    "other rates make gestures slower or faster, the lips stay in time.",
                ),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=SECONDS_IN_A_DAY,
                    step=0.01,
                    tooltip="Second of the audio at which the video begins.",
                ),
                io.Float.Input(
                    "duration",
                    default=0.0,
                    min=0.0,
                    max=SECONDS_IN_A_DAY,
                    step=0.01,
                    tooltip="Seconds of audio to use; 0 is to its end. It sets the length of the video.",
                ),
                io.Boolean.Input(
                    "normalize_loudness",
                    default=False,
                    tooltip="Bring the voice to broadcast loudness (-23 LUFS) before it is listened to. "
                    "Helps with very quiet recordings; the sound in the video stays as it is.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=3.0,
                    step=0.05,
                    tooltip="How strongly the voice drives the face: 1 is as trained, less is calmer, "
                    "more exaggerates the mouth, 0 is deaf.",
                ),
            ],
            outputs=[
                AudioTokens.Output(
                    display_name="audio_embeds", tooltip="What the sampler hears: wire it to the EchoMimicV2 Sampler."
                ),
                io.Audio.Output(display_name="audio", tooltip="The part of the sound used: wire it to the video."),
                io.Int.Output(display_name="frames", tooltip="How many whole frames the sound lasts."),
            ],
        )

    @classmethod
    def execute(cls, audio_encoder, audio, fps, start, duration, normalize_loudness, strength) -> io.NodeOutput:
        from ...echomimic_core import audio as core_audio
        from ...echomimic_core.media import waveform as core_waveform

        if audio is None:
            raise ValueError("There is no sound: the video it comes from is silent. Load a voice with Load Audio.")
        rate = audio["sample_rate"]
        sound = core_waveform.trim(audio["waveform"], rate, start, duration)
        voice = core_waveform.resample(sound, rate)
        if normalize_loudness:
            voice = core_waveform.normalize_loudness(voice)

        comfy.model_management.load_models_gpu([audio_encoder])
        features = core_audio.encode(audio_encoder.model, voice, cancellable_progress())

        frames = core_audio.clip_frames(sound.shape[-1], rate, fps)
        tokens = core_audio.AudioTokens(features, fps, frames, strength)
        return io.NodeOutput(tokens, {"waveform": sound, "sample_rate": rate}, frames)


NODES = [EchoMimicV2AudioEmbeds]
