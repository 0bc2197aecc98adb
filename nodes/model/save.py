"""Save Model: what is loaded (LoRA included) as one file."""

from comfy_api.latest import io

from ..types import AudioEncoder, ReferenceNet, schema


class EchoMimicV2SaveModel(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        from ...bridge.dtypes import WEIGHT_DTYPES

        return schema(
            node_id="EchoMimicV2SaveModel",
            display_name="EchoMimicV2 Save Model",
            category="EchoMimicV2/model",
            description="Saves one .safetensors file to models/echomimic: smaller, faster to load, easy to share.",
            search="checkpoint save, merge LoRA, fp8, quantize, 保存模型, 合并模型",
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="The MODEL from Load EchoMimicV2. LoRAs applied to it are baked in."),
                ReferenceNet.Input(
                    "reference_net",
                    optional=True,
                    tooltip="Connect to include the reference network and make the file complete (adds about 60 %).",
                ),
                AudioEncoder.Input(
                    "audio_encoder",
                    optional=True,
                    tooltip="Connect to include the audio encoder, so no separate Whisper file is needed (adds 16 MB).",
                ),
                io.String.Input(
                    "filename",
                    default="echomimicv2",
                    tooltip="File name in models/echomimic, without extension. A number is appended if the name is "
                    "taken.",
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=list(WEIGHT_DTYPES),
                    default="float16",
                    tooltip="float16 halves the size of the released files without visible loss; float8 quarters it "
                    "at a small loss of detail; auto keeps the loaded precision.",
                ),
            ],
            outputs=[],
        )

    @classmethod
    def execute(cls, model, filename, weight_dtype, reference_net=None, audio_encoder=None) -> io.NodeOutput:
        from pathlib import Path

        import comfy.model_management

        from ...bridge.dtypes import WEIGHT_DTYPES
        from ...bridge.model import require_echomimic
        from ...bridge.model_files import echomimic_folders
        from ...bridge.progress import cancellable_progress
        from ...bridge.reports import say
        from ...echomimic_core.files.checkpoints import AUDIO_ENCODER, VAE, save_one_file
        from ...echomimic_core.files.durable import make_folder

        inner = require_echomimic(model, "EchoMimicV2 Save Model")
        paths = names(Path(echomimic_folders()[0]), filename)
        path = next(paths)  # A name that no file can have is told before anything is computed
        patchers = [patcher for patcher in (model, reference_net, audio_encoder) if patcher is not None]
        comfy.model_management.load_models_gpu(patchers, force_patch_weights=True)
        networks = {
            "denoising_unet": inner.diffusion_model.denoising_unet.state_dict(),
            "pose_encoder": inner.diffusion_model.pose_encoder.state_dict(),
        }
        if reference_net is not None:
            networks["reference_unet"] = reference_net.model.state_dict()
        if audio_encoder is not None:
            networks[AUDIO_ENCODER] = audio_encoder.model.encoder.state_dict()
        if inner.vae_file is not None:  # Without it the model would be decoded by a VAE it was not trained with
            networks[VAE] = vae_inside(inner)
        dtype = WEIGHT_DTYPES[weight_dtype]
        # What is said of a part goes along with that part
        about = {key: said for key, said in inner.about.items() if key not in (VAE, AUDIO_ENCODER) or key in networks}
        information = {**about, "size": str(inner.picture_size)}
        saved = save_one_file(
            make_folder(path.parent) / path.name,
            networks,
            inner.variant.name,
            inner.config,
            dtype,
            information,
            progress=cancellable_progress(),
            others=paths,
            replace=False,
        )
        text = f"Saved {saved.name} ({saved.stat().st_size / 1e9:.2f} GB)"
        say(text)
        return io.NodeOutput(ui={"text": [text]})


def vae_inside(inner) -> dict:
    """The weights of the VAE in the file that an `EchoMimicModel` was loaded from; ValueError if that has changed."""
    from ...bridge.model_files import stamp
    from ...echomimic_core.files.vae import inside

    file = inner.vae_file
    if not file.is_file() or stamp(file) != inner.vae_stamp:
        raise ValueError(
            f"The model's own VAE cannot be saved: {file} {'has changed' if file.is_file() else 'is gone'} since the "
            "model was loaded from it. Put the file in its place and load the model again (restart ComfyUI, or choose "
            "another model in Load EchoMimicV2 and then this one)."
        )
    tensors, prefix = inside(file)
    return tensors.state_dict(prefix)


def names(folder, filename: str):
    """Paths in the folder under which a model may be saved, the wanted one first, then numbered ones."""
    from itertools import count

    from ...echomimic_core.files.durable import check_name

    name = filename.strip().removesuffix(".safetensors")
    check_name(name)
    if name[0] == ".":
        raise ValueError(f"{filename!r} begins with a dot, which hides the file: choose another name")
    yield folder / f"{name}.safetensors"
    yield from (folder / f"{name}_{number}.safetensors" for number in count(2))


NODES = [EchoMimicV2SaveModel]
