"""What a guided window at 768x768 moves through memory besides its arithmetic, counted on the meta device: as it runs,
and with a kernel for each function of `fused`, none of which is written yet."""

import pytest
import torch

from benchmarks.counting import Traffic, traffic
from benchmarks.shapes import meta_window
from echomimic_core.config import RELEASED
from echomimic_core.models import fused


def counted() -> Traffic:
    window, _ = meta_window(RELEASED, pixels=768, frames=12)
    return traffic(window)


@pytest.fixture(scope="module")
def moved() -> Traffic:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "_in_the_open", lambda hidden: True)
        return counted()


def test_tokens_lie_as_they_are_read(moved):
    assert moved.mixed_adds == moved.copying_norms == 0


def test_pieces_are_made_in_their_place(moved):
    assert moved.chunk_copies == 0


def test_little_is_moved_besides_the_arithmetic(moved):
    assert moved.total <= 160e9, moved.bytes.most_common(12)


def test_kernels_would_move_less():
    with_kernels = counted()
    assert with_kernels.total <= 108e9, with_kernels.bytes.most_common(12)


def test_an_addition_of_two_orders_and_a_norm_that_copies_are_seen():
    rows = torch.empty(3, 4, 5, device="meta")
    turned = torch.empty(3, 5, 4, device="meta").transpose(1, 2)

    def moving() -> None:
        rows + turned
        torch.layer_norm(turned, (5,))
        torch.empty(6, 4, 5, device="meta")[:3] = rows

    seen = traffic(moving)
    assert (seen.mixed_adds, seen.copying_norms, seen.chunk_copies) == (1, 1, 2 * rows.nbytes)
    assert seen.bytes["add"] == 3 * rows.nbytes
    assert seen.bytes["copies in layer norms"] == 2 * rows.nbytes


def test_what_lies_alike_is_no_mixed_addition():
    rows = torch.empty(3, 1, 5, device="meta")
    seen = traffic(lambda: rows + torch.empty(3, 5, 1, device="meta").transpose(1, 2))
    assert seen.mixed_adds == 0
