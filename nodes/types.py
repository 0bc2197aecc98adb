"""Every socket type of the pack and what travels on it."""

from dataclasses import fields

from comfy_api.latest import io

# A core ModelPatcher around `echomimic_core.models.reference_unet.ReferenceUNet` (see bridge/model.py).
ReferenceNet = io.Custom("ECHOMIMIC_REFERENCE_NET")

# A core ModelPatcher around the Whisper encoder (echomimic_core.models.audio_encoder).
AudioEncoder = io.Custom("ECHOMIMIC_AUDIO_ENCODER")

# echomimic_core.audio.AudioTokens: tokens (F, 50, 384) float32 on the CPU, and fps.
AudioTokens = io.Custom("ECHOMIMIC_AUDIO")

# echomimic_core.pose.HandPose: keypoints of a clip.
Pose = io.Custom("ECHOMIMIC_POSE")

# echomimic_core.models.reference_unet.ReferenceFeatures: the 16 normed token maps of the picture and its latent size.
Reference = io.Custom("ECHOMIMIC_REFERENCE")

# echomimic_core.apdh.APDHOptions: strengths of pose and audio over the denoising phases, and the reach of audio.
APDH = io.Custom("ECHOMIMIC_APDH")

# echomimic_core.gestures.library.GestureLibrary: strokes and rests of one body.
Gestures = io.Custom("ECHOMIMIC_GESTURES")

# echomimic_core.scene.people.People: the people of a picture or video, and that footage itself.
People = io.Custom("ECHOMIMIC_PEOPLE")

# echomimic_core.scene.crop.Crop: a person's place in the first canvas, one matrix or one per frame, and their mask.
Crop = io.Custom("ECHOMIMIC_CROP")


def schema(search: str, **values) -> io.Schema:
    """An `io.Schema` without the fields that this ComfyUI does not know: search_aliases is from January 2026.

    search : words people type to find the node, English and Chinese, comma-separated.
    """
    values["search_aliases"] = search.split(", ")
    known = {field.name for field in fields(io.Schema)}
    return io.Schema(**{name: value for name, value in values.items() if name in known})
