"""The audio encoder: the encoder half of OpenAI's Whisper tiny, whose inner states the denoiser listens to."""

import re
from collections.abc import Mapping

import torch
from torch import nn

from ..config import AUDIO_DIM, AUDIO_MELS, AUDIO_SEGMENT_FRAMES, AUDIO_STATES

# Every published Whisper model has heads of this many channels.
HEAD_CHANNELS = 64
WHISPER_SIZES = {384: "tiny", 512: "base", 768: "small", 1024: "medium", 1280: "large"}
WHERE_TO_GET_IT = "use Whisper tiny: OpenAI's tiny.pt, or model.safetensors of openai/whisper-tiny on Hugging Face"

# OpenAI's names of the parts -> the names in transformers.
TRANSFORMERS_NAMES = (
    (re.compile(r"^positional_embedding$"), "embed_positions.weight"),
    (re.compile(r"^blocks\.(\d+)\.attn\.query\."), r"layers.\1.self_attn.q_proj."),
    (re.compile(r"^blocks\.(\d+)\.attn\.key\."), r"layers.\1.self_attn.k_proj."),
    (re.compile(r"^blocks\.(\d+)\.attn\.value\."), r"layers.\1.self_attn.v_proj."),
    (re.compile(r"^blocks\.(\d+)\.attn\.out\."), r"layers.\1.self_attn.out_proj."),
    (re.compile(r"^blocks\.(\d+)\.attn_ln\."), r"layers.\1.self_attn_layer_norm."),
    (re.compile(r"^blocks\.(\d+)\.mlp\.0\."), r"layers.\1.fc1."),
    (re.compile(r"^blocks\.(\d+)\.mlp\.2\."), r"layers.\1.fc2."),
    (re.compile(r"^blocks\.(\d+)\.mlp_ln\."), r"layers.\1.final_layer_norm."),
)


class AudioEncoder(nn.Module):
    """Whisper's encoder, made to return its inner states; the normalisation after the last block plays no part.

    Parameters
    ----------
    width : channels of a state; blocks : transformer blocks; mels : bins of the spectrogram;
    positions : length of the position table, half the mel frames of a segment; feed_forward : its hidden channels.
    """

    def __init__(self, width: int, blocks: int, mels: int, positions: int, feed_forward: int):
        from transformers import WhisperConfig
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        super().__init__()
        config = WhisperConfig(
            d_model=width,
            encoder_layers=blocks,
            encoder_attention_heads=max(1, width // HEAD_CHANNELS),
            encoder_ffn_dim=feed_forward,
            num_mel_bins=mels,
            max_source_positions=positions,
        )
        self.encoder = WhisperEncoder(config)
        # Transformers hands out the last state only after this layer; the denoiser was trained on the one before it.
        self.encoder.layer_norm = nn.Identity()

    @property
    def segment_frames(self) -> int:
        """Mel frames of one segment: 3000, that is 30 s."""
        return 2 * self.encoder.config.max_source_positions

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """States (1500, 5, 384) of one segment of log-mel (1, 80, 3000), on the encoder's device, in its dtype.

        State 0 is the output of the convolutions plus the position table, state n the output of block n.
        """
        weight = self.encoder.conv1.weight
        mel = mel.to(weight.device, weight.dtype)
        states = self.encoder(mel, output_hidden_states=True, return_dict=True).hidden_states
        return torch.stack(states, dim=2)[0]


def build_audio_encoder(
    state_dict: Mapping[str, torch.Tensor],
    dtype: torch.dtype = torch.float32,
    audio_dim: int = AUDIO_DIM,
    audio_states: int = AUDIO_STATES,
) -> AudioEncoder:
    """Build the encoder from the weights of a Whisper model, frozen and in evaluation mode.

    Parameters
    ----------
    state_dict : OpenAI's layout (`encoder.blocks.0.attn.query.weight`) or that of transformers
        (`model.encoder.layers.0.self_attn.q_proj.weight`), with any prefix before the encoder's own names.
        Other keys, such as the decoder's, are ignored. A missing position table is made as Whisper defines it.
    dtype : of the weights in memory.
    audio_dim, audio_states : what the denoiser was built for: width of a state, blocks + 1.

    Raises
    ------
    ValueError : no Whisper encoder inside, another size than the denoiser needs, parameters missing or mis-shaped.
    """
    weights = _transformers_layout(state_dict)
    width, mels = weights["conv1.weight"].shape[:2]
    blocks = len({name.split(".")[1] for name in weights if name.startswith("layers.")})
    _check_size(width, mels, blocks, audio_dim, audio_states)

    from transformers.models.whisper.modeling_whisper import sinusoids

    feed_forward = weights["layers.0.fc1.bias"].numel() if "layers.0.fc1.bias" in weights else 4 * width
    weights.setdefault("embed_positions.weight", sinusoids(AUDIO_SEGMENT_FRAMES // 2, width))
    positions = weights["embed_positions.weight"].numel() // width
    # On the meta device nothing is drawn or allocated before the real weights are put in.
    with torch.device("meta"):
        model = AudioEncoder(width, blocks, mels, positions, feed_forward)
    expected = model.encoder.state_dict()
    _check_parameters(weights, expected)
    # Copies: nothing points into the file any more, which may be replaced or deleted.
    weights = {name: weights[name].to(dtype, copy=True) for name in expected}
    model.encoder.load_state_dict(weights, strict=True, assign=True)
    return model.requires_grad_(False).eval()


def _transformers_layout(state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The encoder's tensors under the names of transformers, without prefix and without the final normalisation."""
    # tiny.pt as OpenAI ships it keeps the tensors beside the dimensions of the model.
    state_dict = state_dict.get("model_state_dict", state_dict)
    # U-Nets have a conv1 too, in two dimensions.
    convolutions = [name for name, tensor in state_dict.items() if name.endswith("conv1.weight") and tensor.ndim == 3]
    prefixes = [name.removesuffix("conv1.weight") for name in convolutions]
    prefixes = [prefix for prefix in prefixes if {f"{prefix}conv1.bias", f"{prefix}conv2.weight"} <= state_dict.keys()]
    if not prefixes:
        some = ", ".join(list(state_dict)[:3]) or "nothing"
        raise ValueError(f"this is not a Whisper model (it contains {some}, ...): {WHERE_TO_GET_IT}")
    prefix = prefixes[0]

    weights = {}
    for name, tensor in state_dict.items():
        name = name.removeprefix(prefix) if name.startswith(prefix) else ""
        for pattern, replacement in TRANSFORMERS_NAMES:
            name = pattern.sub(replacement, name)
        if name.startswith(("conv1.", "conv2.", "layers.")) or name == "embed_positions.weight":
            weights[name] = tensor
    return weights


def _check_size(width: int, mels: int, blocks: int, audio_dim: int, audio_states: int) -> None:
    if (width, blocks + 1, mels) != (audio_dim, audio_states, AUDIO_MELS):
        name = f"Whisper {WHISPER_SIZES[width]}" if width in WHISPER_SIZES else "a Whisper encoder"
        raise ValueError(
            f"this is {name} of width {width} with {blocks} blocks and {mels} mel bins, but the denoiser was trained "
            f"with width {audio_dim}, {audio_states - 1} blocks and {AUDIO_MELS} mel bins: {WHERE_TO_GET_IT}"
        )


def _check_parameters(weights: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    missing = [name for name in expected if name not in weights]
    if missing:
        raise ValueError(
            f"{len(missing)} of the {len(expected)} parameters of the Whisper encoder are missing, first "
            f"{missing[0]}: the file is incomplete; {WHERE_TO_GET_IT}"
        )
    for name, tensor in expected.items():
        if weights[name].shape != tensor.shape:
            raise ValueError(
                f"{name} of the Whisper encoder has shape {tuple(weights[name].shape)} instead of "
                f"{tuple(tensor.shape)}: the file is damaged or of another model; {WHERE_TO_GET_IT}"
            )
