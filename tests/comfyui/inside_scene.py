"""Run inside ComfyUI's own Python: the nodes of a scene with the small model, from the picture to the file; as JSON.

python inside_scene.py COMFYUI_FOLDER PACK_FOLDER FOLDER_FOR_FILES
"""

import json

from started_comfyui import ARGUMENTS, PACK, load  # isort: skip

import folder_paths
import numpy as np
import torch
from PIL import Image

(FOLDER,) = ARGUMENTS
FRAMES, STEPS, SIDE = 6, 2, 256
folder_paths.set_temp_directory(str(FOLDER))
folder_paths.set_output_directory(str(FOLDER / "output"))
folder_paths.folder_names_and_paths["echomimic"] = ([str(PACK / "demo" / "models")], {".safetensors"})
video = load("echomimicv2.echomimic_core.media.video")
core_footage = load("echomimicv2.echomimic_core.scene.footage")
latest = load("comfy_api.latest")


def node(module: str, name: str):
    found = getattr(load(f"echomimicv2.nodes.{module}"), f"EchoMimicV2{name}")
    load("echomimicv2.bridge.customs").inspected(found)
    return found


find, crop_person, paste = (
    node("scene.people", "FindPeople"),
    node("scene.crop", "CropPerson"),
    node("scene.paste", "PastePerson"),
)
split, align, encode = (
    node("scene.speakers", "SplitSpeakers"),
    node("pose.align", "AlignPose"),
    node("inputs.reference", "ReferenceEncode"),
)
embeds, library, decode = (
    node("inputs.audio", "AudioEmbeds"),
    node("pose.library", "PoseLibrary"),
    node("output.video", "DecodeToVideo"),
)
sampler, long_sampler, options = (
    node("sampling.sampler", "Sampler"),
    node("sampling.long_sampler", "LongSampler"),
    node("sampling.apdh", "APDHOptions"),
)


def run(which, *args, **kwargs) -> tuple:
    """A node's outputs, its values named as in the schema or in their order."""
    order = [given.id for given in which.define_schema().inputs]
    return which.execute(**dict(zip(order, args, strict=False)), **kwargs).args


def sentence(function) -> str:
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def images(*pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures)).float() / 255


def frames_of(clip) -> np.ndarray:
    return np.stack([frame for _, frame in video.read_frames(clip.get_stream_source())])


def luma(frames: np.ndarray) -> np.ndarray:
    return frames.astype(float) @ [0.2126, 0.7152, 0.0722]


def room(shift: int = 0) -> np.ndarray:
    """Two drawn people in a room, 640 x 320, the room's right half moved by some pixels."""
    drawn = Image.open(PACK / "workflows" / "inputs" / "echomimicv2_example.png").convert("RGB").resize((300, 300))
    other = Image.open(PACK / "demo" / "inputs" / "character.png").convert("RGB").resize((300, 300))
    picture = Image.new("RGB", (640, 320), (150, 130, 170))
    picture.paste(drawn, (6 + shift, 20))
    picture.paste(other, (334 + shift, 20))
    return np.asarray(picture)


model, net, encoder, vae = run(node("model.load", "Loader"), "nano.safetensors", "auto", "auto")
wave, rate = video.read_audio(PACK / "workflows" / "inputs" / "echomimicv2_example.flac")
voice = {"waveform": torch.from_numpy(wave)[None], "sample_rate": rate}
results = {}


def sampled(which, reference, heard, pose, **more):
    settings = {"seed": 1, "steps": STEPS, "cfg": 0.0, "sampler_name": "original", "frames": 0, "pose_fit": "loop"}
    settings |= {"context_frames": 12, "context_overlap": 3, "loop": False}
    if which is long_sampler:
        settings |= {"segment_frames": 8, "held_frames": 2, "folder": ""}
    return run(which, model=model, reference=reference, audio_embeds=heard, pose=pose, **settings, **more)[0]


def still_scene() -> None:
    ground = images(room())
    people, overlay, count, fps, masks = run(find, ground, 4, True)
    results["people"] = {"count": count, "fps": fps, "overlay": list(overlay.shape), "masks": list(masks.shape)}
    both = np.concatenate([np.pad(wave[:1], ((0, 0), (0, rate))), np.pad(wave[:1], ((0, 0), (rate, 0)))])
    one, two, three, _, names = run(split, {"waveform": torch.from_numpy(both)[None], "sample_rate": rate}, "")
    results["voices"] = [
        names,
        [sound["waveform"].shape[-1] for sound in (one, two, three)],
        float(three["waveform"].abs().max()),
    ]
    clips = []
    for number, sound in ((1, one), (2, two)):
        picture, pose, crop, latent = run(crop_person, people, number, SIDE, 0.1, "still", "person", 0, "stop")
        assert latent is None
        heard, _, _ = run(embeds, encoder, sound, 24.0, 0.0, FRAMES / 24, False, 1.0)
        hands, _ = run(library, "open_hands", FRAMES, 24.0, False, 1.0, 0)
        framed, hands, *_, crop = run(
            align,
            picture,
            hands,
            image_pose=pose,
            width=SIDE,
            height=SIDE,
            framing="keep",
            fit_hands=True,
            fill="edge",
            overlay_frames=1,
            crop=crop,
        )
        reference, _ = run(encode, net, vae, framed, 0, 0, "crop")
        clips += [(reference, heard, hands, crop, sampled(sampler, reference, heard, hands, pin=crop))]
    (reference, heard, hands, crop, latent), (*_, second_crop, second) = clips
    pinned(reference, heard, hands, crop, latent)
    video_of_both = run(
        paste, ground, latent, crop, 8, True, "silhouette", vae=vae, clip_2=second, crop_2=second_crop, audio=voice
    )[0]
    given = pasted_frames(ground, [(latent, crop), (second, second_crop)])
    shown = frames_of(video_of_both)
    untouched = (given == room()).all(axis=(0, -1))
    noise = np.square(luma(shown) - luma(room()))[:, untouched]
    results["pasted"] = {
        "frames": len(shown),
        "size": list(shown.shape[1:3]),
        "untouched": float(untouched.mean()),
        "corner": bool(untouched[:8].all() and untouched[:, 312:322].all()),
        "psnr": float(10 * np.log10(255**2 / noise.mean(axis=1).max())),
        "over time": float(luma(shown)[:, untouched].std(axis=0).mean()),
        "sound": video.has_sound(video_of_both.get_stream_source()),
        "lonely": sentence(lambda: run(paste, ground, latent, crop, 8, True, "box", vae=vae, clip_2=second)),
        "no vae": sentence(lambda: run(paste, ground, latent, crop, 8, True, "box")),
        "other picture": sentence(lambda: run(paste, images(room()[:, :320]), latent, crop, 8, True, "box", vae=vae)),
    }
    cut_out(reference, latent)
    upscaled(ground, latent, crop, second, second_crop)


def upscaled(ground, latent, crop, second, second_crop) -> None:
    """The same scene with a matte, and with a model that enlarges by four and makes everything black."""
    from comfy_extras.nodes_upscale_model import UpscaleModelLoader
    from safetensors.torch import save_file
    from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet

    weights = {name: value * 0 for name, value in RRDBNet(num_filters=4, num_blocks=1).state_dict().items()}
    save_file(weights, FOLDER / "black.safetensors")
    folder_paths.add_model_folder_path("upscale_models", str(FOLDER))
    (enlarge,) = UpscaleModelLoader.execute("black.safetensors").args
    both = {"vae": vae, "clip_2": second, "crop_2": second_crop}
    _, matte = run(paste, ground, latent, crop, 8, False, "silhouette", matte="video", **both)
    dark, none = run(paste, ground, latent, crop, 8, False, "box", upscale_model=enlarge, **both)
    shown, dark = frames_of(matte), luma(frames_of(dark))
    results["scene matte"] = {
        "shape": list(shown.shape),
        "people": [float(shown[:, 150:250, x - 20 : x + 20].mean()) for x in (156, 484)],
        "between": float(shown[:, :40, 312:328].max()),
        "none": none is None,
    }
    results["upscaled"] = [float(dark[:, 150:250, 100:200].mean()), float(np.abs(dark - luma(room()))[:, :8].mean())]


def pasted_frames(ground, pairs) -> np.ndarray:
    """The frames as they are handed to the encoder."""
    bridge, core = load("echomimicv2.bridge.footage"), load("echomimicv2.echomimic_core.scene.paste")
    background = bridge.footage_of(ground)
    layers = [core.look(bridge.clip_footage(clip, vae), crop, background) for clip, crop in pairs]
    return np.stack(list(core.paste(background, layers, 24.0, 8)))


def pinned(reference, heard, hands, crop, latent) -> None:
    plain = sampled(sampler, reference, heard, hands)["samples"]
    everything = sampled(sampler, reference, heard, hands, pin=torch.ones(1, 64, 64))["samples"]
    nothing = sampled(sampler, reference, heard, hands, pin=torch.zeros(1, 64, 64))["samples"]
    half = torch.zeros(1, 64, 64)
    half[:, :, 32:] = 1
    held = sampled(sampler, reference, heard, hands, pin=half)["samples"]
    background = torch.randn(FRAMES, 4, 16, 16)
    moving = sampled(sampler, reference, heard, hands, pin=half, latent={"samples": background})["samples"]
    longer, _, _ = run(embeds, encoder, voice, 24.0, 0.0, 20 / 24, False, 1.0)
    long = sampled(long_sampler, reference, longer, hands, pin=half)["samples"]
    near, far = (
        (sampled(sampler, reference, heard, hands, latent={"samples": background}, denoise=d)["samples"] - background)
        .abs()
        .mean()
        for d in (0.1, 0.8)
    )
    left = slice(0, 7)  # A soft edge may take the next one.
    results["pin"] = {
        "of a crop": float((latent["samples"].std(dim=0).amax(dim=0) == 0).float().mean()),
        "all free": float((everything - plain).abs().max()),
        "all held": float((nothing - reference.latents).abs().max()),
        "held": float((held - reference.latents)[..., left].abs().max()),
        "free": float((held - reference.latents)[..., 9:].abs().mean()),
        "moving": float((moving - background)[..., left].abs().max()),
        "long": [len(long), float((long - reference.latents)[..., left].abs().max())],
        "denoise": [float(near), float(far)],
        "wrong size": sentence(
            lambda: sampled(sampler, reference, heard, hands, pin=half, latent={"samples": background[..., :8]})
        ),
    }
    (none,) = run(
        options,
        **{given.id: given.default for given in options.define_schema().inputs if given.id != "mask"}
        | {"hands": "none"},
    )
    results["hands"] = list(none.keypoints)
    without = sampled(sampler, reference, heard, hands, apdh=none)["samples"]
    results["without hands"] = float((without - plain).abs().mean())


def cut_out(reference, latent) -> None:
    picture = Image.open(PACK / "demo" / "inputs" / "character.png").convert("RGB").resize((128, 128))
    mask = torch.zeros(1, 128, 128)
    mask[:, 20:, 30:98] = 1.0
    ground = images(np.full((64, 64, 3), 200, np.uint8))
    seen = {
        fill: run(
            encode, net, vae, images(np.asarray(picture)), 128, 128, "crop", mask=mask, fill=fill, fill_picture=ground
        )[1]
        for fill in ("keep", "green", "blur", "picture")
    }
    clip, matte = run(decode, latent, vae, voice, 0.0, 4, matte="both")
    (path,) = (FOLDER / "output").rglob("*.mov")
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        first = next(container.decode(stream)).to_ndarray(format="rgba")
        results["alpha"] = [stream.codec_context.name, stream.codec_context.pix_fmt, len(container.streams.audio)]
    shown = frames_of(matte)
    results["matte"] = {
        "frames": [len(shown), len(frames_of(clip))],
        "person": float(shown[:, 40:80, 56:72].mean()),
        "corner": float(shown[:, :10, :10].mean()),
        "same": float(np.abs(first[..., 3].astype(float) - shown[0, ..., 0]).mean()),
    }
    results["fills"] = {
        "green": seen["green"][0, 2, 2].tolist(),
        "picture": seen["picture"][0, 2, 2].tolist(),
        "person": float((seen["green"] - seen["keep"])[0, 30:, 40:90].abs().max()),
        "nothing": sentence(lambda: run(encode, net, vae, images(np.asarray(picture)), 128, 128, "crop", fill="green")),
    }


def video_scene() -> None:
    """A video that pans, given a new voice: the face alone changes, and a longer voice plays it back and forth."""
    pictures = [room(shift) for shift in (0, 1, 2, 3, 4, 5, 6, 7)]
    path = FOLDER / "source.mp4"
    with video.VideoWriter(path, 24.0, 640, 320, None) as writer:
        writer.write(np.stack(pictures))
    source = latest.InputImpl.VideoFromFile(str(path))
    people, *_ = run(find, source, 1, True)
    picture, pose, crop, latent = run(
        crop_person, people, 1, 128, 0.1, "follow", "lower face", 12, "ping-pong", vae=vae
    )
    heard, _, _ = run(embeds, encoder, voice, 24.0, 0.0, 12 / 24, False, 1.0)
    reference, _ = run(encode, net, vae, picture, 0, 0, "crop")
    clip = sampled(sampler, reference, heard, pose, pin=crop, latent=latent, denoise=0.5)
    dubbed = run(paste, source, clip, crop, 4, False, "silhouette", vae=vae, audio=voice)[0]
    made = np.stack([frame for _, frame in video.read_frames(dubbed.get_stream_source(), exact=True)])
    original = np.stack([frame for _, frame in video.read_frames(str(path), exact=True)])
    order = core_footage.extended(8, 12, "ping-pong")
    apart = np.abs(luma(made) - luma(original[order]))
    short = {"samples": clip["samples"][:4], "fps": 24.0}
    _, _, first, _ = run(crop_person, people, 1, 128, 0.1, "still", "person", 4, "stop")
    results["dub"] = {
        "frames": len(made),
        "shorter voice": len(frames_of(run(paste, source, short, first, 4, False, "box", vae=vae)[0])),
        "latents": list(latent["samples"].shape),
        "held": float((clip["samples"] - latent["samples"])[:, :, -2:].abs().max()),
        "away": float(apart[:, :, 400:].mean()),
        "masks": list(crop.masks.shape),
        "matrices": len(crop.matrices),
    }


with torch.no_grad():
    still_scene()
    video_scene()
print(json.dumps(results))
