"""Spoken sentences with the times of their phonemes, by eSpeak NG's library."""

import ctypes
from dataclasses import dataclass

import numpy as np

from echomimic_core.config import AUDIO_SAMPLE_RATE
from echomimic_core.media.waveform import resample

# Of espeak-ng's speak_lib.h.
_SYNCHRONOUS, _PHONEME_EVENTS, _IPA = 2, 1, 2
_CHARS_UTF8, _PHONEME, _END = 1, 7, 0
_RATE, _PITCH = 1, 3

# Article, quality, thing, deed, how; enough words for every phoneme in many neighbourhoods.
ENGLISH = (
    "the, a, every, this, my, our, one",
    "old, small, bright, quiet, young, strange, happy, golden",
    "river, teacher, garden, window, painter, machine, mountain, dog, summer, voice, letter, boat",
    "finds, follows, opens, paints, remembers, carries, believes, watches, builds, loves",
    "slowly, again, tomorrow, with both hands, in the morning, before the rain, for a moment, over there",
)
MANDARIN = (
    "这个, 那个, 我们的, 每个, 一个",
    "小, 老, 漂亮的, 安静的, 快乐的",
    "老师, 孩子, 花园, 房子, 朋友, 河, 音乐, 山",
    "看见, 打开, 喜欢, 画, 带来, 听",
    "今天, 慢慢地, 在早上, 在这里, 明天",
)
GERMAN = (
    "der, jeder, dieser, unser, mein",
    "alte, kleine, schöne, ruhige, junge",
    "Garten, Lehrer, Maler, Fluss, Brief, Hund, Berg, Sommer",
    "findet, öffnet, malt, trägt, liebt, sieht",
    "langsam, morgen, wieder, am Abend, mit beiden Händen, ohne Eile",
)
SPANISH = (
    "el, cada, este, nuestro, mi",
    "viejo, pequeño, alegre, tranquilo, joven",
    "río, maestro, jardín, pintor, perro, verano, barco",
    "abre, sigue, pinta, lleva, mira, recuerda",
    "despacio, mañana, otra vez, con las dos manos, por la noche",
)
LANGUAGES = {"en-us": ENGLISH, "en": ENGLISH, "en-gb-scotland": ENGLISH, "cmn": MANDARIN, "de": GERMAN, "es": SPANISH}


@dataclass(frozen=True)
class Phoneme:
    """A phoneme in IPA and when it begins and ends, in seconds."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True)
class Voice:
    """One of eSpeak's voices: language, variant (such as "f2"), words a minute, pitch 0..100."""

    language: str
    variant: str
    rate: int
    pitch: int


@dataclass(frozen=True)
class Speech:
    """Sound (samples,) float32 at 16 kHz and its phonemes."""

    sound: np.ndarray
    phonemes: tuple[Phoneme, ...]


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # Milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Speaker:
    """eSpeak NG; its library holds one state, so make one per process."""

    def __init__(self):
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self._rate = self._library.espeak_Initialize(_SYNCHRONOUS, 200, data, _PHONEME_EVENTS | _IPA)
        if self._rate <= 0:
            raise RuntimeError("eSpeak NG could not be started: install espeakng-loader again")
        self._chunks: list[np.ndarray] = []
        self._marks: list[tuple[str, float]] = []
        self._callback = _Callback(self._collect)  # Kept, or it would be freed while the library holds it
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples, count, event) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).astype(np.float32) / 32768)
        index = 0
        while event[index].type != _END:
            if event[index].type == _PHONEME:
                name = event[index].id.string.decode("utf-8", "ignore")
                self._marks.append((name, event[index].audio_position / 1000))
            index += 1
        return 0

    def say(self, text: str, voice: Voice) -> Speech:
        """Speak a text."""
        name = f"{voice.language}+{voice.variant}" if voice.variant else voice.language
        if self._library.espeak_SetVoiceByName(name.encode()):
            raise ValueError(f"eSpeak NG has no voice {name!r}")
        self._library.espeak_SetParameter(_RATE, voice.rate, 0)
        self._library.espeak_SetParameter(_PITCH, voice.pitch, 0)
        self._chunks, self._marks = [], []
        encoded = text.encode()
        self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _CHARS_UTF8, None, None)
        sound = np.concatenate([np.zeros(0, np.float32), *self._chunks])
        ends = [begin for _, begin in self._marks[1:]] + [len(sound) / self._rate]
        phonemes = tuple(Phoneme(n, b, e) for (n, b), e in zip(self._marks, ends, strict=True))
        return Speech(resample(sound, self._rate, AUDIO_SAMPLE_RATE), phonemes)


def random_voice(
    rng: np.random.Generator, languages=("en", "en-us", "cmn", "de"), variants=("", "f1", "f2", "m1", "m3", "m7")
):
    """A voice of the given languages and variants at a random rate and pitch."""
    return Voice(
        str(rng.choice(languages)), str(rng.choice(variants)), int(rng.integers(125, 185)), int(rng.integers(25, 75))
    )


def random_sentence(rng: np.random.Generator, language: str) -> str:
    """A sentence of a language that says little: article, quality, thing, deed, article, thing, how."""
    article, quality, thing, deed, how = (words.split(", ") for words in LANGUAGES[language])
    order = (article, quality, thing, deed, article, thing, how)
    gap = "" if language == "cmn" else " "
    return gap.join(str(rng.choice(words)) for words in order) + ("。" if language == "cmn" else ".")
