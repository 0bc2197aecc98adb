"""What makes a template small enough to run on a CPU in seconds."""

from tiny_models import MODEL_NAME, VAE_NAME

SMALL = {"width": 64, "height": 64, "size": 64, "duration": 0.2}
VALUES = {
    "EchoMimicV2Loader": {"model": MODEL_NAME},
    "VAELoader": {"vae_name": VAE_NAME},
    "EchoMimicV2ReferenceEncode": SMALL,
    "EchoMimicV2AlignPose": SMALL,
    "EchoMimicV2AudioEmbeds": SMALL,
    "EchoMimicV2HandPose": SMALL,
    "EchoMimicV2CropPerson": SMALL,
    "EchoMimicV2VoiceGestures": {"cues": "0.1 beat"},
}
