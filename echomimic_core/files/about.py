"""What a file is: asked by the loader's list, by the demo, and by `python -m echomimic_core.files FILE`."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..config import LATENT_CHANNELS
from .checkpoints import ABOUT, AUDIO_ENCODER, FORMAT, VAE
from .names import VAE_LAYERS, may_be_vae
from .tensor_file import CheckpointError, TensorFile

ONE_FILE, WHISPER, SD15_VAE, OTHER_VAE = "one-file model", "Whisper encoder", "VAE of SD 1.5", "VAE of another model"
POSE, GESTURES, OTHER = "pose", "gestures", "other"

# Parts of the released set by a name that only they have.
PARTS = {
    "denoising U-Net": "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight",
    "reference U-Net": "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight",
    "motion modules": "down_blocks.0.motion_modules.0.temporal_transformer.proj_in.weight",
    "pose encoder": "blocks.5.weight",
}
WHISPER_LAYERS = ("encoder.blocks.0.attn.query.weight", "blocks.0.attn.query.weight")
WHISPER_LAYERS += ("model.encoder.layers.0.self_attn.q_proj.weight", "encoder.layers.0.self_attn.q_proj.weight")
FORMATS = {FORMAT: ONE_FILE, "echomimicv2-pose": POSE, "echomimicv2-gestures": GESTURES}


@dataclass(frozen=True)
class About:
    """What a file is.

    Attributes
    ----------
    kind : one of the constants above, or a name of PARTS.
    networks : of a one-file model, the networks inside.
    problem : a sentence where the file cannot be read; the kind is then "other".
    about : what its metadata say of it.
    """

    kind: str
    networks: tuple[str, ...] = ()
    problem: str = ""
    about: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict:
        return asdict(self)

    @property
    def has_vae(self) -> bool:
        return VAE in self.networks

    @property
    def has_audio_encoder(self) -> bool:
        return AUDIO_ENCODER in self.networks


def about(path: str | Path) -> About:
    """Look into a file of weights or a pose; only its header is read."""
    try:
        file = TensorFile(path)
    except CheckpointError as error:
        return About(OTHER, problem=str(error))
    kind = FORMATS.get(file.metadata.get("format", ""))
    if kind is not None:
        networks = tuple(dict.fromkeys(name.partition(".")[0] for name in file.names())) if kind == ONE_FILE else ()
        kept = ("variant", "size", *ABOUT)
        return About(kind, networks, about={key: file.metadata[key] for key in kept if key in file.metadata})
    if any(name in file for name in WHISPER_LAYERS):
        return About(WHISPER)
    if any(encoder in file and decoder in file for encoder, decoder in VAE_LAYERS):
        (channels,) = [file.shape(decoder)[1] for _, decoder in VAE_LAYERS if decoder in file][:1]
        return About(SD15_VAE if channels == LATENT_CHANNELS and may_be_vae(Path(path).name) else OTHER_VAE)
    return About(next((part for part, name in PARTS.items() if name in file), OTHER))
