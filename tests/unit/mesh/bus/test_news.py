"""Who waits for a topic is woken by it, and by nothing else."""

from __future__ import annotations

import pytest

from mesh.bus.news import ALL, News, heard_within
from mesh.errors import MeshError, MeshReason


def test_news_reach_those_who_listen_to_the_topic() -> None:
    """And those who listen to all; not who stopped to listen."""
    news = News()
    with news.of("orders") as orders, news.of("other") as other, news.of(ALL) as every:
        with news.of("orders") as gone:
            pass
        news.tell(["orders", "orders"])
        assert [e.is_set() for e in (orders, other, every, gone)] == [True, False, True, False]


async def test_waiting_is_bounded() -> None:
    """It answers whether there was something."""
    news = News()
    with news.of("orders") as heard:
        assert not await heard_within(heard, 0.001)
        news.tell(["orders"])
        assert await heard_within(heard, 60)


async def test_nobody_waits_once_it_is_closed() -> None:
    """Who does is woken; who comes is told to come later, and not to ask again at once."""
    news = News()
    with news.of("orders") as heard, news.of(ALL) as every:
        news.close()
        assert await heard_within(heard, 60)
        assert await heard_within(every, 60)
    with pytest.raises(MeshError) as refused, news.of("orders"):
        pass
    assert refused.value.reason is MeshReason.UNAVAILABLE
