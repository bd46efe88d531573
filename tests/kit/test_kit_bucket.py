"""What a token bucket lets pass."""

from __future__ import annotations

from timonier.kit.bucket import Bucket


def test_a_burst_passes_at_once_and_then_a_rate() -> None:
    bucket = Bucket(3, 0.0)
    assert [bucket.take(0.5, 3, 0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.5, 3, now) for now in (1.0, 2.0, 3.0, 4.0)] == [False, True, False, True]


def test_no_more_than_a_burst_is_kept() -> None:
    bucket = Bucket(2, 0.0)
    assert [bucket.take(1, 2, 100.0) for _ in range(3)] == [True, True, False]
