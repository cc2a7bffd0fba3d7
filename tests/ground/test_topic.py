"""Topic names and patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostream.exceptions import InvalidTopic, TooLarge
from echostream.topic import MAX_TOPICS, TopicSet, check_pattern, check_topic

segments = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/*"), min_size=1, max_size=8
).filter(lambda text: text not in (".", ".."))
names = st.lists(segments, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    "name", ["a", "a/b", "orders/eu/42", "ä/日本", "a b", "...", "a.b", "x" * 256, "%2F", "a~'\"\\"]
)
def test_valid_names(name: str):
    assert check_topic(name) == name
    assert check_pattern(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a/./b",
        "../a",
        "a\x00b",
        "a\nb",
        "a\x7f",
        "a\x85b",
        "x" * 257,
        "ä" * 129,
        "\ud800",
    ],
)
def test_invalid_names_and_patterns(name: str):
    for check in (check_topic, check_pattern):
        with pytest.raises(InvalidTopic) as caught:
            check(name)
        assert caught.value.field == "topic"


def test_an_empty_name_says_what_to_do() -> None:
    with pytest.raises(InvalidTopic, match="name one, such as"):
        check_topic("")


@pytest.mark.parametrize("pattern", ["a*", "*a", "**/a", "a/**/b", "***", "a/b*"])
def test_a_wildcard_is_a_whole_segment_and_the_rest_comes_last(pattern: str):
    with pytest.raises(InvalidTopic):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("a/*", ["a/b", "a/*"[:2] + "c"], ["a", "a/b/c", "b/a"]),
        ("*", ["a", "hubs"], ["a/b", "hub"]),
        ("*/x", ["a/x"], ["x", "hub/x", "a/b/x"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab/c"]),
        ("**", ["a", "a/b/c"], ["hub/machine", "hub"]),
        ("hub/*", ["hub/machine"], ["hub", "a/b"]),
        ("a/*/c", ["a/b/c"], ["a/c", "a/b/d"]),
    ],
)
def test_patterns(pattern: str, matching: list[str], others: list[str]):
    topics = TopicSet([pattern])
    assert [name for name in matching if not topics.matches(name)] == []
    assert [name for name in others if topics.matches(name)] == []


def test_a_set_is_checked_bounded_and_equal_whatever_the_order():
    assert TopicSet(["a", "b/*"]) == TopicSet(["b/*", "a", "a"])
    assert hash(TopicSet(["a", "b"])) == hash(TopicSet(["b", "a"]))
    assert TopicSet(["a"]) != TopicSet(["b"])
    assert list(TopicSet(["b", "a/*"])) == ["a/*", "b"]
    with pytest.raises(InvalidTopic):
        TopicSet([])
    with pytest.raises(TooLarge):
        TopicSet(f"t{number}" for number in range(MAX_TOPICS + 1))


@given(names, names)
def test_a_name_matches_itself_and_no_other(one: str, other: str):
    topics = TopicSet([one])
    assert topics.matches(one)
    assert topics.matches(other) == (one == other)


@given(st.lists(segments, min_size=1, max_size=5), st.data())
def test_any_segment_may_be_a_star_and_any_end_two(parts: list[str], data: st.DataObject):
    if parts[0] == "hub":
        return
    at = data.draw(st.integers(0, len(parts) - 1))
    name = "/".join(parts)
    assert TopicSet(["/".join([*parts[:at], "*", *parts[at + 1 :]])]).matches(name)
    assert TopicSet(["/".join([*parts[:at], "**"])]).matches(name)
    assert not TopicSet([f"{name}/**"]).matches(name)
