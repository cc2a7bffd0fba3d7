"""The table of a response's life: what follows from what, and what the time brings."""

from __future__ import annotations

import pytest

from echostream.stream import TABLE, Act, Happening, Machine, State, StreamSettings

H = Happening


def machine(*, heartbeats: bool = True, **settings: float | None) -> Machine:
    return Machine(StreamSettings(**settings), 100.0, heartbeats=heartbeats)  # type: ignore[arg-type]


def opened(**settings: float | None) -> Machine:
    one = machine(**settings)
    one.happen(H.ITEMS)
    return one


def test_the_head_goes_with_the_first_item_and_never_again():
    one = machine()
    assert one.happen(H.ITEMS) == (Act.HEAD, Act.BODY)
    assert one.happen(H.ITEMS) == (Act.BODY,)
    assert one.happen(H.EXHAUSTED) == (Act.FINISH,)
    assert one.ended_by is H.EXHAUSTED


def test_a_source_without_items_is_a_whole_body():
    assert machine().happen(H.EXHAUSTED) == (Act.HEAD, Act.FINISH)


@pytest.mark.parametrize("ending", [H.FAILED, H.EXPIRED, H.DRAINING])
def test_what_goes_wrong_before_the_head_is_a_status(ending: Happening):
    one = machine()
    assert one.happen(ending) == (Act.REFUSE,)
    assert one.ended_by is ending


@pytest.mark.parametrize("ending", [H.FAILED, H.EXPIRED, H.FULL, H.DRAINING])
def test_what_goes_wrong_after_it_is_told(ending: Happening):
    assert opened().happen(ending) == (Act.TELL,)


@pytest.mark.parametrize("ending", [H.GONE, H.STALLED])
def test_to_who_is_gone_or_takes_nothing_nothing_is_said(ending: Happening):
    assert opened().happen(ending) == (Act.LEAVE,)


@pytest.mark.parametrize("late", list(Happening))
def test_after_the_end_nothing_changes_anything(late: Happening):
    one = opened()
    one.happen(H.FAILED)
    assert one.happen(late) == ()
    assert one.state is State.OVER
    assert one.ended_by is H.FAILED


def test_every_way_out_of_the_table_has_exactly_one_last_act():
    last = {Act.FINISH, Act.TELL, Act.REFUSE, Act.LEAVE}
    for (_, happening), (after, acts) in TABLE.items():
        assert len(last & set(acts)) == (after is State.OVER), happening
        assert (Act.HEAD in acts) <= (acts[0] is Act.HEAD)


def test_every_ending_is_possible_in_both_states_where_it_can_occur():
    endings = {H.EXHAUSTED, H.FAILED, H.EXPIRED, H.DRAINING, H.GONE}
    for state in (State.WAITING, State.OPEN):
        assert all(TABLE[state, ending][0] is State.OVER for ending in endings)


def test_the_head_is_sent_at_the_latest_after_commit_after():
    one = machine(commit_after=1, heartbeat=15)
    assert one.next_due() == 101
    assert one.due(100.9) is None
    assert one.due(101) is H.COMMIT_DUE
    assert one.happen(H.COMMIT_DUE) == (Act.HEAD, Act.HEARTBEAT)


def test_heartbeats_only_when_nothing_else_was_sent():
    one = opened(heartbeat=15)
    one.wrote(110)
    assert one.next_due() == 125
    assert one.due(124.9) is None
    assert one.due(125) is H.HEARTBEAT_DUE


def test_no_heartbeat_where_the_format_has_none_or_none_is_wanted():
    plain = machine(heartbeats=False)
    plain.happen(H.ITEMS)
    assert plain.next_due() is None
    assert opened(heartbeat=None).next_due() is None


def test_no_heartbeat_to_who_takes_nothing_but_an_end():
    one = opened(heartbeat=15, send_timeout=30)
    one.stalled_since = 101
    assert one.next_due() == 115, "it may take bytes again before it is given up"
    assert one.due(115) is None
    assert one.next_due() == 130
    assert one.due(130.9) is None
    assert one.next_due() == 131
    assert one.due(131) is H.STALLED
    one.stalled_since = None
    assert one.due(131) is H.HEARTBEAT_DUE


@pytest.mark.parametrize("begun", [False, True])
def test_the_deadline_counts_from_the_beginning_and_goes_first(begun: bool):
    one = machine(deadline=20, heartbeat=15, commit_after=20)
    if begun:
        one.happen(H.ITEMS)
    assert one.due(120) is H.EXPIRED
    one.happen(H.EXPIRED)
    assert one.next_due() is None
    assert one.due(10_000) is None
