"""Reference Encode: the photo, seen once by the reference U-Net."""

from comfy_api.latest import io

from ...echomimic_core.choices import FILLS
from ...echomimic_core.config import FRAME_SIZE, LARGEST_SIDE, LATENT_CHANNELS, SMALLEST_SIDE
from ..types import Reference, ReferenceNet, schema

FITS = ["crop", "pad"]
OWN_VAE = "this model has a VAE of its own: connect the vae of its Load EchoMimicV2"


class EchoMimicV2ReferenceEncode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            node_id="EchoMimicV2ReferenceEncode",
            display_name="EchoMimicV2 Reference Encode",
            category="EchoMimicV2/inputs",
            description="Encodes the reference picture once, at the size of the video.",
            search="reference image, portrait, photo, talking photo, avatar, digital human, character, 参考图, "
            "人像, 照片, 数字人, green screen, transparent PNG, cut out, chroma key, 绿幕, 抠像, 透明背景",
            inputs=[
                ReferenceNet.Input("reference_net", tooltip="The reference network from Load EchoMimicV2."),
                io.Vae.Input(
                    "vae",
                    tooltip="The VAE from Load EchoMimicV2, or sd-vae-ft-mse (or another SD 1.5 VAE) from Load VAE.",
                ),
                io.Image.Input(
                    "image",
                    tooltip="One person from the hips up, facing the camera, hands visible. Only the first picture "
                    "of a batch is used.",
                ),
                io.Int.Input(
                    "width",
                    default=768,
                    min=0,
                    max=LARGEST_SIDE,
                    step=8,
                    tooltip="Width of the video. 0 uses the size the loaded model was trained at, or the height if "
                    "that is set. The released model was trained at 768x768; 512 is faster and needs less memory, "
                    "but is softer. Other aspect ratios work.",
                ),
                io.Int.Input(
                    "height",
                    default=768,
                    min=0,
                    max=LARGEST_SIDE,
                    step=8,
                    tooltip="Height of the video. 0 uses the size the loaded model was trained at, or the width if "
                    "that is set.",
                ),
                io.Combo.Input(
                    "fit",
                    options=FITS,
                    default="crop",
                    tooltip="How the picture is fitted: crop cuts off what sticks out, pad adds borders. It is never "
                    "stretched, and the pose is fitted the same way.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Only with fill: white is the person, from any segmenter or keyer. Load Image's mask of a "
                    "transparent picture is the other way round: put Invert Mask between.",
                ),
                io.Combo.Input(
                    "fill",
                    options=list(FILLS),
                    default=FILLS[0],
                    optional=True,
                    tooltip="What takes the place of the background outside mask: a plain colour for keying, a blur of "
                    "the background, or fill_picture. keep leaves the picture as it is.",
                ),
                io.Image.Input("fill_picture", optional=True, tooltip="The new background, if fill is picture."),
            ],
            outputs=[
                Reference.Output(display_name="reference", tooltip="For EchoMimicV2 Sampler."),
                io.Image.Output(display_name="image", tooltip="The picture as the model sees it."),
            ],
        )

    @classmethod
    def validate_inputs(cls, width, height):
        try:
            video_size(width, height, FRAME_SIZE)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls, reference_net, vae, image, width, height, fit, mask=None, fill=FILLS[0], fill_picture=None
    ) -> io.NodeOutput:
        import comfy.model_management
        import torch

        from ...bridge.dtypes import manual_cast_dtype
        from ...echomimic_core.config import LATENT_SCALE
        from ...echomimic_core.media.picture import fill_background, fit_picture
        from ...echomimic_core.models.reference_unet import ReferenceFeatures
        from ...echomimic_core.sampling.memory import picture_bytes

        if reference_net is None:
            raise ValueError(
                "This one-file model has no reference network inside: load one that has, "
                "or take reference_net from a second Load EchoMimicV2."
            )
        if vae is None:
            raise ValueError(
                "There is no VAE: this checkpoint has none. Connect the vae of Load EchoMimicV2, or sd-vae-ft-mse from "
                "Load VAE."
            )
        width, height = video_size(width, height, reference_net.model.picture_size)
        picture = fill_background(image[:1].float(), mask, fill, fill_picture)
        picture = fit_picture(picture, height, width, fit)
        encoded = vae.encode(picture)
        network, device = reference_net.model, reference_net.load_device
        latents = encoded * LATENT_SCALE
        channels = network.config.latent_channels
        if latents.shape[1:] != (channels, height // 8, width // 8):
            remedy = "use sd-vae-ft-mse or another SD 1.5 VAE" if channels == LATENT_CHANNELS else OWN_VAE
            raise ValueError(
                f"This VAE makes latents of {tuple(latents.shape[1:])}, but EchoMimicV2 needs "
                f"{(channels, height // 8, width // 8)}: {remedy}."
            )
        dtype = manual_cast_dtype(network.dtype) or network.dtype
        comfy.model_management.load_models_gpu([reference_net], memory_required=picture_bytes(network.config, latents))
        with torch.no_grad():
            tokens = network(latents.to(device, dtype))
        tokens = [x.to(comfy.model_management.intermediate_device()) for x in tokens]
        return io.NodeOutput(ReferenceFeatures(tokens, *latents.shape[-2:], fit, encoded.cpu(), channels), picture)


def video_size(width: int, height: int, trained_at: int) -> tuple[int, int]:
    """Width and height in pixels; both 0: the square the model was trained at, one 0: a square of the other.

    Raises
    ------
    ValueError : a side shorter than SMALLEST_SIDE.
    """
    width, height = width or height or trained_at, height or width or trained_at
    if min(width, height) < SMALLEST_SIDE:
        raise ValueError(
            f"The video would be {width}x{height} pixels, but each side must be at least {SMALLEST_SIDE}: set width "
            f"and height to {SMALLEST_SIDE} or more ({FRAME_SIZE} is what the released model was trained at)."
        )
    return width, height


NODES = [EchoMimicV2ReferenceEncode]
