"""The numbers of the method, each named once, and the dataclasses that describe a model and a run."""

from dataclasses import dataclass

# Latents: SD 1.5's VAE, posterior mean times this factor, eight pixels a latent cell.
LATENT_CHANNELS = 4
LATENT_SCALE = 0.18215
PIXELS_PER_LATENT = 8

# Noise schedule: DDIM on "linear" betas rescaled to zero terminal SNR, v-prediction, trailing timesteps.
TRAIN_TIMESTEPS = 1000
BETA_START = 0.00085
BETA_END = 0.012
NOISE_CLAMP = 1.5

# Clip: frames a second, frames a window, frames shared by neighbouring windows, shift of all windows a step.
FPS = 24.0
CONTEXT_FRAMES = 12
CONTEXT_OVERLAP = 3
CONTEXT_SHIFT = 3
MAX_CONTEXT_FRAMES = 32
FRAME_SIZE = 768
SMALLEST_SIDE = 64  # Pixels of a video: below, the deepest level of the networks has next to nothing
LARGEST_SIDE = 2048

# Audio: Whisper states at 50 Hz; a frame sees 10 positions x 5 states.
AUDIO_SAMPLE_RATE = 16_000
AUDIO_FFT = 400
AUDIO_HOP = 160
AUDIO_MELS = 80
AUDIO_SEGMENT_FRAMES = 3000  # Mel frames the encoder takes at once: 30 s
AUDIO_FEATURE_RATE = 50
AUDIO_POSITIONS_BEFORE = 4
AUDIO_POSITIONS = 10
AUDIO_STATES = 5
AUDIO_TOKENS = AUDIO_POSITIONS * AUDIO_STATES
AUDIO_DIM = 384
AUDIO_ATTENTION_SCALE = 3.0

# APDH and PhD loss: the three denoising phases as half-open ranges of timesteps, from noise to picture.
PHASES = {"pose": (900, 1000), "detail": (300, 900), "low": (0, 300)}

# Keypoints of a pose.
HANDS = 2
HAND_POINTS = 21
BODY_POINTS = 18
FACE_POINTS = 68
LIP_POINTS = slice(48, 68)
# Of the body, in OpenPose-18: nose, eyes and ears, which go with the face.
HEAD_POINTS = [0, 14, 15, 16, 17]


# What the denoising U-Net predicts; and the largest patch.
VELOCITY, CLEAN = "velocity", "clean"
OUTPUTS = (VELOCITY, CLEAN)
MOST_PATCH = 4


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the three networks.

    Parameters
    ----------
    block_out_channels : channels of the four U-Net levels.
    pose_block_channels : channels of the pose encoder before its last convolution.
    latent_channels : of the VAE; 4 is SD 1.5's.
    patch : side in latents of the squares that are one cell inside the networks: the convolutions at either end have
        this many squared times the channels.
    output : of the denoising U-Net, one of `OUTPUTS`; of predicted clean latents the velocity is computed
        (`sampling.schedule.velocity_of`), so that whoever samples or trains sees velocities in any case.
    """

    block_out_channels: tuple[int, int, int, int] = (320, 640, 1280, 1280)
    pose_block_channels: tuple[int, int, int, int] = (16, 32, 96, 256)
    layers_per_block: int = 2
    attention_heads: int = 8
    norm_num_groups: int = 32
    audio_dim: int = AUDIO_DIM
    latent_channels: int = LATENT_CHANNELS
    patch: int = 1
    output: str = VELOCITY

    def __post_init__(self):
        if self.output not in OUTPUTS:
            raise ValueError(f"output is {self.output!r}, but it must be one of {', '.join(OUTPUTS)}")
        if not 1 <= self.patch <= MOST_PATCH:
            raise ValueError(f"patch is {self.patch}, but 1 to {MOST_PATCH} is possible")

    def cells(self, height: int, width: int) -> tuple[int, int]:
        """Height and width inside the networks of latents of a size; what fills no whole patch counts as one."""
        return -(-height // self.patch), -(-width // self.patch)

    @property
    def time_embed_dim(self) -> int:
        return 4 * self.block_out_channels[0]


RELEASED = ModelConfig()
TINY = ModelConfig(block_out_channels=(32, 64, 128, 128))
# The size of the demo's own small model, at 128 to 256 pixels.
NANO = ModelConfig((48, 80, 96, 64), (8, 16, 32, 48), layers_per_block=1, attention_heads=4, norm_num_groups=16)
# For 256 pixels at little more than NANO's cost at 128: sixteen channels in squares of two, and clean latents out.
SMALL = ModelConfig(
    (64, 80, 80, 64),
    (16, 24, 32, 48),
    layers_per_block=1,
    attention_heads=4,
    norm_num_groups=16,
    latent_channels=16,
    patch=2,
    output=CLEAN,
)


@dataclass(frozen=True)
class Variant:
    """A published way of training the denoiser, with the settings it was trained for."""

    name: str
    steps: int
    guidance_scale: float


STANDARD = Variant("standard", steps=30, guidance_scale=2.5)
ACCELERATED = Variant("accelerated", steps=6, guidance_scale=1.0)
VARIANTS = {variant.name: variant for variant in (STANDARD, ACCELERATED)}


@dataclass(frozen=True)
class SamplingConfig:
    """How a clip is sampled; the defaults are the original's for the standard model."""

    steps: int = STANDARD.steps
    guidance_scale: float = STANDARD.guidance_scale
    context_frames: int = CONTEXT_FRAMES
    context_overlap: int = CONTEXT_OVERLAP
    context_shift: int = CONTEXT_SHIFT

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}, but sampling needs at least 1")
        if not 1 <= self.context_frames <= MAX_CONTEXT_FRAMES:
            raise ValueError(
                f"context frames is {self.context_frames}, but the motion modules support 1 to "
                f"{MAX_CONTEXT_FRAMES} frames"
            )
        if not 0 <= self.context_overlap < self.context_frames:
            raise ValueError(
                f"context overlap is {self.context_overlap}, but it must be between 0 and {self.context_frames - 1} "
                f"(context frames is {self.context_frames})"
            )
