"""Split Speakers: a voice for each person of a scene."""

from comfy_api.latest import io

from ...echomimic_core.choices import MOST_SPEAKERS
from .. import types


class EchoMimicV2SplitSpeakers(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return types.schema(
            node_id="EchoMimicV2SplitSpeakers",
            display_name="EchoMimicV2 Split Speakers",
            category="EchoMimicV2/scene",
            description="Splits a conversation into one voice per person, each as long as the whole and silent while "
            "others speak.",
            search="diarization, speaker diarisation, RTTM, dialogue, podcast, two people talking, multi speaker, "
            "stereo split, 说话人分离, 对话, 播客, 双人, 多人",
            inputs=[
                io.Audio.Input(
                    "audio", tooltip="The conversation: one channel per speaker, or one track and turns below."
                ),
                io.String.Input(
                    "turns",
                    default="",
                    multiline=True,
                    tooltip="Who speaks when, one turn per line: 'name start end' in seconds, or the lines of an RTTM "
                    "file from any diarisation tool. Leave empty to split by channel.",
                ),
            ],
            outputs=[
                *(
                    io.Audio.Output(
                        f"audio_{number}",
                        display_name=f"audio {number}",
                        tooltip="For Audio Embeds. Speakers are in the order in which they first speak; silent if "
                        "there are fewer.",
                    )
                    for number in range(1, MOST_SPEAKERS + 1)
                ),
                io.String.Output("speakers", display_name="speakers", tooltip="The speakers' names, one per line."),
            ],
        )

    @classmethod
    def execute(cls, audio, turns) -> io.NodeOutput:
        import numpy as np
        import torch

        from ...bridge.reports import say
        from ...echomimic_core.scene import speakers

        if audio is None:
            raise ValueError("There is no audio: the source video is silent. Load a conversation with Load Audio.")
        rate = audio["sample_rate"]
        waveform = audio["waveform"][0].numpy()
        text = turns.strip()
        tracks = speakers.by_turns(waveform, rate, speakers.read_turns(text)) if text else speakers.by_channel(waveform)
        voices = [*tracks.values()] + [np.zeros_like(waveform[:1])] * (MOST_SPEAKERS - len(tracks))
        names = "\n".join(tracks)
        say(names)
        sounds = [{"waveform": torch.from_numpy(voice.copy())[None], "sample_rate": rate} for voice in voices]
        return io.NodeOutput(*sounds, names)


NODES = [EchoMimicV2SplitSpeakers]
