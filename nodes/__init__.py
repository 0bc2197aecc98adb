"""The nodes: every file below here names its own in `NODES`."""

# The page offers the first few nodes that fit a wire dropped on empty canvas, in the order in which they are
# registered. So these come first, and makers of a pose before the nodes that change one.
FIRST = (
    "EchoMimicV2Loader",
    "EchoMimicV2Sampler",
    "EchoMimicV2PoseLibrary",
    "EchoMimicV2VoiceGestures",
    "EchoMimicV2LoadPose",
    "EchoMimicV2HandPose",
    "EchoMimicV2AlignPose",
    "EchoMimicV2PreviewPose",
    "EchoMimicV2EditPose",
    "EchoMimicV2BlendPose",
    "EchoMimicV2ReferenceEncode",
    "EchoMimicV2AudioEmbeds",
)


def rank(node: type) -> int:
    """Place of a node class in the order of registration; those that share one stay in the order of their files."""
    return FIRST.index(node.__name__) if node.__name__ in FIRST else len(FIRST)
