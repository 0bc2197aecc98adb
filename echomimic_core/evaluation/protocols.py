"""The ways in which published code computes what is called alike, chosen by name, with what each does."""

# How a clip becomes samples of FVD. {} is the number of frames of one sample.
FVD_PROTOCOLS = {
    "all": "all stretches of {} frames without overlap, every clip",
    "first": "the first {} frames of every clip",
    "whole": "every clip as one sample, whatever its length",
    "random": "2048 stretches of {} frames at random places, as many of each clip",
}
RANDOM_SAMPLES = 2048

# How frames are brought to Inception's 299 pixels, where the network is no script that does it by itself.
FID_RESIZES = {
    "torch": "as pytorch-fid: bilinear between the middles of pixels",
    "tensorflow": "as torch-fidelity and TensorFlow 1: bilinear between the corners of pixels",
}

# What happens at the edges of clips and crops, where public code rounds and cuts in ways of its own.
EDGES = {
    "even": "boxes smoothed alike to the last frame, every window of 5 frames, crops between pixels",
    "public": "as in the public code: boxes smoothed with zeros beyond the ends and one window fewer (SyncNet), "
    "crops at whole pixels of the resized frame (Deep3DFaceRecon)",
}
# Longest clip that goes through I3D in one piece: 512 frames take about 2 GB.
WHOLE_FRAMES = 512
