"""The voice: AUDIO in, audio tokens for the denoiser out."""

import comfy.model_management
from comfy_api.latest import io

from ..types import AudioEncoder, AudioTokens, schema

SECONDS_IN_A_DAY = 86_400.0


class EchoMimicV2AudioEmbeds(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            node_id="EchoMimicV2AudioEmbeds",
            display_name="EchoMimicV2 Audio Embeds",
            category="EchoMimicV2/inputs",
            description="Encodes the voice for lip sync. Its length sets the number of frames.",
            search="voice, speech, whisper, audio encode, audio driven, lip sync, talking head, avatar, 语音, "
            "音频, 声音, 对口型, 口播, 数字人",
            inputs=[
                AudioEncoder.Input("audio_encoder", tooltip="The Whisper encoder from Load EchoMimicV2."),
                io.Audio.Input(
                    "audio",
                    tooltip="The voice: any sample rate, mono or stereo, any length. Music and noise also drive the "
                    "lips, so isolate the voice first.",
                ),
                io.Float.Input(
                    "fps",
                    default=24.0,
                    min=1.0,
                    max=120.0,
                    step=0.001,
                    tooltip="Frames per second of the video. The model was trained at 24: other rates slow down or "
                    "speed up the gestures, but the lips stay in sync.",
                ),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=SECONDS_IN_A_DAY,
                    step=0.01,
                    tooltip="Time in the audio, in seconds, at which the video starts.",
                ),
                io.Float.Input(
                    "duration",
                    default=0.0,
                    min=0.0,
                    max=SECONDS_IN_A_DAY,
                    step=0.01,
                    tooltip="Seconds of audio to use; 0 uses everything to the end. Sets the length of the video.",
                ),
                io.Boolean.Input(
                    "normalize_loudness",
                    default=False,
                    tooltip="Normalizes the voice to broadcast loudness (-23 LUFS) before encoding. Helps with very "
                    "quiet recordings; the audio of the video is unchanged.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=3.0,
                    step=0.05,
                    tooltip="How strongly the voice drives the face: 1 is as trained, lower is calmer, higher "
                    "exaggerates the mouth, 0 ignores the voice.",
                ),
            ],
            outputs=[
                AudioTokens.Output(display_name="audio_embeds", tooltip="The encoded voice, for EchoMimicV2 Sampler."),
                io.Audio.Output(
                    display_name="audio", tooltip="The part of the audio that was used, for Decode To Video."
                ),
                io.Int.Output(display_name="frames", tooltip="The length of the audio in whole frames."),
            ],
        )

    @classmethod
    def execute(cls, audio_encoder, audio, fps, start, duration, normalize_loudness, strength) -> io.NodeOutput:
        from ...bridge.progress import cancellable_progress
        from ...echomimic_core import audio as core_audio
        from ...echomimic_core.media import waveform as core_waveform

        if audio is None:
            raise ValueError("There is no audio: the source video is silent. Load a voice with Load Audio.")
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
