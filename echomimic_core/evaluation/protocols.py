"""The ways in which published code computes what is called alike, chosen by name, with what each does."""

# How a clip becomes samples of FVD. {} is the number of frames of one sample.
FVD_PROTOCOLS = {
    "all": "all stretches of {} frames without overlap, every clip",
    "first": "the first {} frames of every clip",
    "whole": "every clip as one sample, whatever its length",
    "random": "2048 stretches of {} frames at random places, as many of each clip",
}
RANDOM_SAMPLES = 2048
# Longest clip that goes through I3D in one piece: 512 frames take about 2 GB.
WHOLE_FRAMES = 512
