"""Several people in a picture: each with a body, a face, a mask, and the hands that hang on their own wrists."""

from dataclasses import dataclass

import numpy as np
import torch

from ...landmarks import BODIES, FACES, HANDS, Body, Networks, Wanted, as_pictures, find_in_areas
from ...landmarks.search import find_in_pictures
from .builtin import AREA_HANDS
from .frame import Frame, make_frame
from .sides import WRISTS, Sides, body_scale, distinct, hand_areas, head_area

MOST_PEOPLE = 4


@dataclass
class Person:
    """One of the people in a picture: points of hands, body and face, and the body, of which masks are made."""

    frame: Frame
    body: Body


@torch.inference_mode()
def find_people(pictures, networks: Networks, limit: int = MOST_PEOPLE) -> list[list[Person]]:
    """Up to `limit` people in each of pictures (frames, height, width, 3) uint8, surest first."""
    pictures = as_pictures(pictures, networks)
    return [
        _hands_and_faces(pictures[index : index + 1], bodies, networks)
        for index, bodies in enumerate(find_in_pictures(BODIES, pictures, networks, Wanted(limit=limit)))
    ]


def _hands_and_faces(picture: torch.Tensor, bodies: list[Body], networks: Networks) -> list[Person]:
    height, width = picture.shape[1:3]
    places = [place for body in bodies for place in hand_areas(body.points, height, width)]
    hands = distinct([hand for found in _look(HANDS, picture, places, networks, AREA_HANDS) for hand in found])
    owners = [owner_of(hand.points[0], bodies) for hand in hands]
    faces = _look(FACES, picture, [head_area(body.points) for body in bodies], networks, Wanted())
    people = []
    for index, (body, face) in enumerate(zip(bodies, faces, strict=True)):
        own = [hand for hand, owner in zip(hands, owners, strict=True) if owner == index]
        chosen = Sides().choose(own, body.points, body.scores, 0.0)
        frame = make_frame(chosen, body.points, body.scores, face[0].points if face else None)
        people.append(Person(frame, body))
    return people


def owner_of(wrist: np.ndarray, bodies: list[Body]) -> int:
    """The body one of whose wrists is nearest to a hand's, in sizes of that body."""
    gaps = [
        np.linalg.norm(body.points[list(WRISTS)] - wrist, axis=1).min() / body_scale(body.points) for body in bodies
    ]
    return int(np.argmin(gaps))


def _look(kind, picture: torch.Tensor, places: list, networks: Networks, wanted: Wanted) -> list[list]:
    areas = np.array([[*middle, 2 * radius, 0.0] for middle, radius in places]).reshape(-1, 4)
    return find_in_areas(kind, picture, np.zeros(len(areas), int), areas, networks, wanted) if len(areas) else []
