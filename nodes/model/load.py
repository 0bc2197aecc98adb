"""Load EchoMimicV2: weights on disk in; the MODEL, reference network, audio encoder and VAE of the graph out."""

from comfy_api.latest import io

from ..types import AudioEncoder, ReferenceNet, schema


class EchoMimicV2Loader(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        from ...bridge.dtypes import WEIGHT_DTYPES
        from ...bridge.model_names import AUTO, RELEASED, one_file_names, whisper_names

        return schema(
            node_id="EchoMimicV2Loader",
            display_name="Load EchoMimicV2",
            category="EchoMimicV2/model",
            description="Loads the denoiser, reference network and audio encoder from models/echomimic, and their VAE.",
            search="load model, checkpoint, talking head, talking photo, avatar, digital human, lip sync, "
            "speech to video, audio driven, portrait animation, 数字人, 口播, 对口型, 加载模型",
            inputs=[
                io.Combo.Input(
                    "model",
                    options=RELEASED + one_file_names(),
                    tooltip="standard: best quality, 30 steps with guidance. accelerated: 6 steps, about 10 times "
                    "faster. Both are the released files in models/echomimic. Your one-file models are listed below "
                    "them.",
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=list(WEIGHT_DTYPES),
                    default=AUTO,
                    tooltip="Precision of the weights in memory. auto suits your GPU and respects ComfyUI's own "
                    "flags. float8 halves memory again at a small loss of detail; float32 is exact and slow.",
                ),
                io.Combo.Input(
                    "audio_encoder",
                    options=[AUTO] + whisper_names(),
                    default=AUTO,
                    tooltip="The Whisper tiny encoder for the voice. auto uses the one inside a one-file model, "
                    "otherwise whisper-tiny.safetensors or tiny.pt from models/echomimic or models/audio_encoders.",
                ),
                io.Boolean.Input(
                    "download_missing",
                    default=False,
                    optional=True,
                    tooltip="Downloads what the chosen model lacks (U-Nets, VAE, Whisper) from Hugging Face into the "
                    "models folder when the node runs, up to 9 GB. Saved workflows always have it off.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="Denoiser, motion modules and pose encoder."),
                ReferenceNet.Output(display_name="reference_net", tooltip="For Reference Encode."),
                AudioEncoder.Output(display_name="audio_encoder", tooltip="For Audio Embeds."),
                io.Vae.Output(
                    display_name="vae",
                    tooltip="For Reference Encode and Decode To Video: the VAE inside a one-file model, otherwise "
                    "sd-vae-ft-mse (or another SD 1.5 VAE) from models/vae. Loaded only when connected.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, model):
        from ...bridge.downloads import missing_files
        from ...bridge.model_files import echomimic_folders, open_model
        from ...echomimic_core.files.tensor_file import CheckpointError

        try:
            # What is missing is said when the node runs: the page shows that, and hides what is said here.
            if not missing_files(model):
                open_model(model, echomimic_folders())
        except CheckpointError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, model=None, weight_dtype=None, audio_encoder=None, download_missing=None):
        from ...bridge.model_files import stamps

        # A file that was replaced under its own name is another model.
        return stamps(model, audio_encoder)

    @classmethod
    def execute(cls, model, weight_dtype, audio_encoder, download_missing=False) -> io.NodeOutput:
        from ...bridge.downloads import complete
        from ...bridge.dtypes import WEIGHT_DTYPES
        from ...bridge.model_files import echomimic_folders, load_audio_encoder, load_models, open_model
        from ...bridge.vae import LazyVAE

        complete(model, audio_encoder, download_missing)
        files = open_model(model, echomimic_folders())
        dtype = WEIGHT_DTYPES[weight_dtype]
        denoiser, reference_net = load_models(files, dtype)
        encoder = load_audio_encoder(files, audio_encoder, echomimic_folders())
        return io.NodeOutput(denoiser, reference_net, encoder, LazyVAE(files.vae_file()))


NODES = [EchoMimicV2Loader]
