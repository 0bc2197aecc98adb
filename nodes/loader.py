"""Load EchoMimicV2: weights on disk in; the MODEL, reference network, audio encoder and VAE of the graph out."""

from comfy_api.latest import io

from .types import AudioEncoder, ReferenceNet

WEIGHT_DTYPES = ["auto", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]
RELEASED = ["standard", "accelerated"]
AUTO = "auto"


def echomimic_folders() -> list[str]:
    import folder_paths

    return folder_paths.get_folder_paths("echomimic")


def one_file_names() -> list[str]:
    """Our one-file models: .safetensors in models/echomimic that are not part of the released set or Whisper's."""
    import folder_paths

    parts = ("denoising_unet", "motion_module", "reference_unet", "pose_encoder", "whisper")
    names = folder_paths.get_filename_list("echomimic")
    return [
        name
        for name in names
        if name.endswith(".safetensors") and not name.replace("\\", "/").rsplit("/", 1)[-1].startswith(parts)
    ]


def whisper_names() -> list[str]:
    """Files that may be a Whisper encoder, from models/echomimic and core's models/audio_encoders."""
    import folder_paths

    names = [n for n in folder_paths.get_filename_list("echomimic") if "whisper" in n.lower() or n.endswith("tiny.pt")]
    if "audio_encoders" in folder_paths.folder_names_and_paths:
        names += [n for n in folder_paths.get_filename_list("audio_encoders") if n not in names]
    return names


class EchoMimicV2Loader(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="EchoMimicV2Loader",
            display_name="Load EchoMimicV2",
            category="EchoMimicV2",
            description="Loads the denoiser, the reference network and the audio encoder from models/echomimic, "
            "and the VAE that belongs to them.",
            inputs=[
                io.Combo.Input(
                    "model",
                    options=RELEASED + one_file_names(),
                    tooltip="standard: best quality, 30 steps with guidance. accelerated: 6 steps, about 10 times "
                    "faster. Both are the released files in models/echomimic; below them your one-file models.",
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=WEIGHT_DTYPES,
                    default=AUTO,
                    tooltip="How weights are kept in memory. auto is right for your card (and obeys ComfyUI's own "
                    "flags). float8 halves memory again for a small loss of detail; float32 is exact and slow.",
                ),
                io.Combo.Input(
                    "audio_encoder",
                    options=[AUTO] + whisper_names(),
                    default=AUTO,
                    tooltip="The Whisper tiny encoder that listens to the voice. auto takes the one inside a one-file "
                    "model, else tiny.pt from models/echomimic or models/audio_encoders.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="Denoiser, motion modules and pose encoder."),
                ReferenceNet.Output(display_name="reference_net", tooltip="For Reference Encode."),
                AudioEncoder.Output(display_name="audio_encoder", tooltip="For Audio Embeds."),
                io.Vae.Output(
                    display_name="vae",
                    tooltip="For Reference Encode and Decode To Video: the VAE inside a one-file model, else "
                    "sd-vae-ft-mse (or another SD 1.5 VAE) from models/vae. It is read only if you connect it.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, model, audio_encoder):
        # Lists of files change: a missing one gets the loader's own sentence instead of core's "not in list".
        return True

    @classmethod
    def execute(cls, model, weight_dtype, audio_encoder) -> io.NodeOutput:
        import torch

        from .lazy_vae import LazyVAE
        from .model_files import load_audio_encoder, load_models, open_model

        files = open_model(model, echomimic_folders())
        dtype = None if weight_dtype == AUTO else getattr(torch, weight_dtype)
        denoiser, reference_net = load_models(files, dtype)
        encoder = load_audio_encoder(files, audio_encoder, echomimic_folders())
        return io.NodeOutput(denoiser, reference_net, encoder, LazyVAE(files.vae_file()))


NODES = [EchoMimicV2Loader]
