"""The templates as they are drawn: which nodes, in which column, and how they are wired.

`make_workflows.py` turns them into the files in workflows/ with ComfyUI's own page, so that these are saved the way
the page saves. Change a graph here, then run that script.
"""

from dataclasses import replace

from parts import (
    ALIGN,
    AUDIO,
    CLIP,
    DECODE,
    HANDS,
    IMAGE,
    LOADER,
    NOTES,
    PREFIX,
    REFERENCE,
    SAMPLER,
    SAVE,
    SCENE,
    SOUND,
    VIDEO,
    VOICES,
    Graph,
    Node,
    changed,
)

TALKING_PHOTO = Graph(
    f"{PREFIX}_1_talking_photo_lip_sync_avatar",
    (IMAGE, SOUND, LOADER, AUDIO, HANDS, ALIGN, REFERENCE, SAMPLER, DECODE, SAVE),
)

LIBRARY = tuple(
    Node(
        id,
        "EchoMimicV2PoseLibrary",
        1,
        {"gesture": gesture, "frames": frames, "fps": 24.0, "mirror": False, "energy": 1.0, "seed": 0},
        room=320,
    )
    for id, gesture, frames in (("30", "waving", 48), ("31", "explaining", 240))
)
GESTURES = Graph(
    f"{PREFIX}_2_gestures",
    (
        IMAGE,
        SOUND,
        LOADER,
        *LIBRARY,
        replace(AUDIO, column=2),
        Node("32", "EchoMimicV2BlendPose", 2, {"first": ["30", 0], "second": ["31", 0], "transition": 12}),
        changed(ALIGN, pose=["32", 0]),
        REFERENCE,
        SAMPLER,
        DECODE,
        SAVE,
    ),
)

DRIVING_VIDEO = Graph(
    f"{PREFIX}_3_driving_video",
    (
        IMAGE,
        SOUND,
        LOADER,
        Node("40", "LoadVideo", 1, {"file": VIDEO}, room=340),
        Node(
            "41",
            "EchoMimicV2HandPose",
            1,
            {
                "source": ["40", 0],
                "source_fps": 24.0,
                "fps": 24.0,
                "start": 0.0,
                "duration": 0.0,
                "smoothing": 0.3,
                "max_gap": 0.5,
                "long_gaps": "hold",
                "download_models": False,
                "tracking": False,
                "detector": "built-in",
            },
            room=120,
        ),
        replace(AUDIO, column=2),
        changed(ALIGN, pose=["41", 0]),
        REFERENCE,
        SAMPLER,
        DECODE,
        SAVE,
    ),
)

LONG_SPEECH = Graph(
    f"{PREFIX}_4_long_speech",
    (
        IMAGE,
        SOUND,
        LOADER,
        AUDIO,
        HANDS,
        ALIGN,
        REFERENCE,
        replace(
            SAMPLER,
            kind="EchoMimicV2LongSampler",
            inputs={**SAMPLER.inputs, "segment_frames": 240, "held_frames": 12, "folder": ""},
        ),
        DECODE,
        SAVE,
    ),
)

LOW_MEMORY = Graph(
    f"{PREFIX}_5_low_memory",
    (
        IMAGE,
        SOUND,
        changed(LOADER, weight_dtype="float8_e4m3fn"),
        AUDIO,
        HANDS,
        changed(ALIGN, width=512, height=512),
        changed(REFERENCE, width=512, height=512),
        SAMPLER,
        changed(DECODE, frames_per_batch=1),
        SAVE,
    ),
)

CUSTOM_SAMPLING = Graph(
    f"{PREFIX}_6_custom_sampling",
    (
        IMAGE,
        SOUND,
        LOADER,
        AUDIO,
        HANDS,
        ALIGN,
        REFERENCE,
        Node(
            "20",
            "EchoMimicV2APDHConditioning",
            3,
            {"reference": ["6", 0], "audio_embeds": ["7", 0], "pose": ["33", 1], **CLIP},
        ),
        Node("21", "EchoMimicV2Scheduler", 3, {"model": ["1", 0], "steps": 0}),
        Node("23", "RandomNoise", 4, {"noise_seed": 420}),
        Node("24", "CFGGuider", 4, {"model": ["1", 0], "positive": ["20", 0], "negative": ["20", 1], "cfg": 1.0}),
        Node(
            "25",
            "SamplerCustomAdvanced",
            4,
            {
                "noise": ["23", 0],
                "guider": ["24", 0],
                "sampler": ["21", 1],
                "sigmas": ["21", 0],
                "latent_image": ["20", 2],
            },
            room=260,
        ),
        replace(changed(DECODE, samples=["25", 0]), column=5),
        replace(SAVE, column=5),
    ),
)

PEOPLE = Node("50", "EchoMimicV2FindPeople", 1, {"source": ["3", 0], "most_people": 4, "small_people": True}, room=260)
CROP = Node(
    "51",
    "EchoMimicV2CropPerson",
    2,
    {
        "people": ["50", 0],
        "person": 1,
        "size": 768,
        "margin": 0.15,
        "camera": "still",
        "mask": "person",
        "frames": 0,
        "when_longer": "stop",
    },
    room=260,
)
PASTE = Node(
    "52",
    "EchoMimicV2PastePerson",
    5,
    {
        "background": ["3", 0],
        "clip_1": ["8", 0],
        "crop_1": ["33", 6],
        "feather": 16,
        "match_colour": True,
        "body": "silhouette",
        "vae": ["1", 3],
        "audio": ["7", 1],
    },
)
SCENE_ALIGN = replace(changed(ALIGN, image=["51", 0], image_pose=["51", 1], crop=["51", 2], framing="keep"), column=3)
SCENE_SAMPLER = replace(changed(SAMPLER, pin=["33", 6]), column=4)
SCENE_SAVE = replace(changed(SAVE, video=["52", 0]), column=5)
SCENE_IMAGE = changed(IMAGE, image=SCENE)


def second(node: Node, **inputs) -> Node:
    """The node once more, for the second person: wires from other nodes of one person lead to their second ones."""
    own = {"51": "61", "33": "43", "7": "17", "5": "15", "6": "16", "8": "18"}
    wires = {
        name: [own.get(value[0], value[0]), value[1]] for name, value in node.inputs.items() if isinstance(value, list)
    }
    return replace(node, id=own[node.id], inputs={**node.inputs, **wires, **inputs})


FULL_BODY = Graph(
    f"{PREFIX}_7_full_body_whole_picture",
    (
        SCENE_IMAGE,
        SOUND,
        LOADER,
        AUDIO,
        HANDS,
        PEOPLE,
        CROP,
        SCENE_ALIGN,
        replace(REFERENCE, column=4),
        SCENE_SAMPLER,
        PASTE,
        SCENE_SAVE,
    ),
)

SPLIT = Node("53", "EchoMimicV2SplitSpeakers", 0, {"audio": ["4", 0], "turns": "Anna 0.0 2.1\nBen 2.1 4.3"}, room=160)
SPEAKER = changed(AUDIO, audio=["53", 0])
TWO_PEOPLE = Graph(
    f"{PREFIX}_8_two_people_talking",
    (
        SCENE_IMAGE,
        SOUND,
        SPLIT,
        LOADER,
        SPEAKER,
        second(SPEAKER, audio=["53", 1]),
        PEOPLE,
        replace(HANDS, room=400),  # Nodes 2.0 draws their reports as long as they are
        second(HANDS, seed=1),
        CROP,
        second(CROP, person=2),
        replace(SCENE_ALIGN, room=600),
        second(SCENE_ALIGN),
        replace(REFERENCE, column=4),
        SCENE_SAMPLER,
        replace(second(REFERENCE), column=4),
        second(SCENE_SAMPLER),
        changed(PASTE, audio=["4", 0], clip_2=["18", 0], crop_2=["43", 6]),
        SCENE_SAVE,
    ),
)

REDUB = Graph(
    f"{PREFIX}_9_redub_video_new_voice",
    (
        Node("40", "LoadVideo", 0, {"file": VIDEO}, room=340),
        SOUND,
        LOADER,
        changed(AUDIO, fps=["50", 3]),
        changed(PEOPLE, source=["40", 0], most_people=1),
        changed(CROP, camera="follow", mask="lower face", frames=["7", 2], when_longer="ping-pong", vae=["1", 3]),
        changed(replace(REFERENCE, column=3), image=["51", 0], width=768, height=768),
        changed(replace(SAMPLER, column=3), pose=["51", 1], pin=["51", 2], latent=["51", 3], denoise=0.6),
        changed(replace(PASTE, column=4), background=["40", 0], crop_1=["51", 2]),
        replace(SCENE_SAVE, column=4),
    ),
)

GREEN_SCREEN = Graph(
    f"{PREFIX}_10_green_screen_alpha_matte",
    (
        IMAGE,
        SOUND,
        LOADER,
        AUDIO,
        HANDS,
        ALIGN,
        replace(changed(PEOPLE, source=["33", 0], most_people=1), column=3),
        changed(replace(REFERENCE, column=3), mask=["50", 4], fill="green"),
        replace(SAMPLER, column=4),
        replace(changed(DECODE, matte="both"), column=5, room=400),
        replace(SAVE, column=5),
        replace(changed(SAVE, video=["9", 1], filename_prefix="video/EchoMimicV2_matte"), id="54", column=5),
    ),
)

DIRECTED_HANDS = Graph(
    f"{PREFIX}_11_voice_gestures_with_cues",
    (
        IMAGE,
        SOUND,
        LOADER,
        AUDIO,
        changed(HANDS, energy=1.2, cues="# seconds and a gesture\n0.4 open hands\n1.2 pointing"),
        Node("55", "PreviewAny", 2, {"source": ["5", 1]}, room=100),
        ALIGN,
        REFERENCE,
        SAMPLER,
        DECODE,
        SAVE,
    ),
)

MANY_VOICES = Graph(
    f"{PREFIX}_12_many_voices_batch_folder",
    (
        IMAGE,
        Node(
            "56",
            "EchoMimicV2BatchFolder",
            0,
            {"folder": VOICES, "kind": "audio", "index": 0, "files": "one per run"},
        ),
        LOADER,
        changed(AUDIO, audio=["56", 0]),
        HANDS,
        ALIGN,
        REFERENCE,
        SAMPLER,
        DECODE,
        changed(SAVE, filename_prefix=["56", 3]),
    ),
)

PAINTING = Graph(
    f"{PREFIX}_13_painting_cartoon_pose_pad",
    (
        IMAGE,
        SOUND,
        LOADER,
        Node(
            "56",
            "EchoMimicV2PosePad",
            1,
            {"pad": (NOTES / "13.pad.json").read_text("utf-8").strip(), "image": ["3", 0]},
            width=560,
        ),
        replace(AUDIO, column=2),
        replace(HANDS, column=2),
        changed(replace(ALIGN, column=3), image_pose=["56", 0], retarget="five fingers"),
        replace(REFERENCE, column=4),
        replace(SAMPLER, column=4),
        replace(DECODE, column=5),
        replace(SAVE, column=5),
    ),
)

GRAPHS = (
    *(TALKING_PHOTO, GESTURES, DRIVING_VIDEO, LONG_SPEECH, LOW_MEMORY, CUSTOM_SAMPLING),
    *(FULL_BODY, TWO_PEOPLE, REDUB, GREEN_SCREEN, DIRECTED_HANDS, MANY_VOICES),
    PAINTING,
)
# What the page's App mode shows, where a graph has it: the artist's own picture, voice, gestures and seed.
APP_INPUTS = (
    *(("3", "image"), ("40", "file"), ("4", "audio"), ("56", "folder")),
    *(("5", "energy"), ("5", "seed"), ("8", "seed")),
)
APP_OUTPUTS = ("10",)
