"""The rows that wait for a batch or for a slot."""

import sys
from collections import deque
from collections.abc import Hashable
from math import ceil

from genservice.engine.call import Slice
from genservice.engine.flow import Flow, fair_room, most_of
from genservice.engine.submission import Submission
from genservice.engine.turns import SLACK, Account, GroupBranch, Place, WholeBranch
from genservice.errors import CallerLimit, QueueFull

GroupKey = tuple[object, ...]
"""What rows must have in common to share a batch: the function, the static options, and shared inputs."""


class RowQueue:
    """Rows granted and not yet taken, in groups that can share a batch.

    Priority classes share the rows by weight, callers those of their class by weight, and the shares of a caller its
    rows evenly (`genservice.engine.turns` says how). In a share its submissions take turns, so that a long stream never
    makes a short request wait for more than a batch. The flow whose turn it is chooses the group; the batch is filled
    with rows of that group, in fair order too.

    Taking rows costs time in proportion to what is taken and to the logarithm of the number of flows, however much
    waits.

    Args:
        max_rows: Most rows.
        max_caller_rows: Most rows of one caller; half of `max_rows` is a limit, too.
    """

    def __init__(self, max_rows: int = sys.maxsize, max_caller_rows: int = sys.maxsize) -> None:
        self._max_rows = max_rows
        self._max_caller_rows = max_caller_rows
        self._all = WholeBranch("", Account(1.0, 0.0), None)
        self._groups: dict[Hashable, GroupBranch] = {}
        self._places: dict[Submission, Place] = {}
        self._caller_rows: dict[str, int] = {}
        self._grants: deque[tuple[float, Place]] = deque()
        self._most_grants = SLACK

    @property
    def rows(self) -> int:
        """Rows that wait."""
        return self._all.rows

    @property
    def is_full(self) -> bool:
        """Whether there is no room for anybody."""
        return self.rows >= self._max_rows

    def caller_rows(self, caller: str) -> int:
        """Rows of a caller that wait."""
        return self._caller_rows.get(caller, 0)

    def most_rows(self, flow: Flow) -> int:
        """The most rows of this flow's caller that can ever wait at once."""
        return most_of(self._max_rows, self._max_caller_rows) if flow.caller else self._max_rows

    def room(self, flow: Flow) -> int:
        """Rows that may be granted to a flow now. However much one caller asks for, others find room."""
        free = self._max_rows - self.rows
        return fair_room(free, self.caller_rows(flow.caller), self._max_caller_rows) if flow.caller else free

    def check_room(self, flow: Flow, rows: int, *, model: str, retry_after_s: float) -> None:
        """Refuses a newcomer for whose rows there is no room; rows over `most_rows` are to be granted later.

        Raises:
            CallerLimit: There would be room, were it not for what the caller itself holds.
            QueueFull: There is no room.
        """
        rows = min(rows, self.most_rows(flow))
        room = self.room(flow)
        if rows <= room:
            return
        held = self.caller_rows(flow.caller)
        if flow.caller and held and rows <= self._max_rows - self.rows:
            raise CallerLimit(
                f"{held} rows of {flow.caller!r} wait for {model!r} and {rows} more do not fit; at this moment the "
                f"limit of a caller is {held + room}.",
                metadata={"caller": flow.caller, "caller_rows": str(held), "max_caller_rows": str(held + room)},
                retry_after_s=retry_after_s,
            )
        raise QueueFull(
            f"{self.rows} rows wait for {model!r} and {rows} more do not fit; the limit is {self._max_rows}.",
            metadata={"queued_rows": str(self.rows), "max_queue_rows": str(self._max_rows)},
            retry_after_s=retry_after_s,
        )

    def add(self, submission: Submission, rows: int, key: GroupKey, now: float) -> None:
        """Grants rows of a submission, and queues it if it is not queued."""
        submission.grant(rows, now)
        place = self._places.get(submission)
        if place is None:
            leaf = self._leaf(submission.flow, key)
            place = self._places[submission] = Place(submission, leaf)
            leaf.line_up(place)
        place.leaf.count_in(rows)
        caller = submission.flow.caller
        self._caller_rows[caller] = self._caller_rows.get(caller, 0) + rows
        self._grants.append((now, place))

    def forget(self, submission: Submission, rows: int) -> None:
        """Uncounts the waiting rows of a submission that has ended, and drops it."""
        place = self._places.get(submission)
        if place is not None:
            del self._places[submission]
            place.leaf.give_up(place)
            place.leaf.count_out(rows)
            self._uncount(place.leaf, submission.flow.caller, rows)
            self._sweep()

    def oldest(self) -> float:
        """When the row that has waited longest began to wait; only while `rows` is not 0."""
        self._sweep()
        return self._grants[0][0]

    def expired(self, now: float, limit_s: float) -> list[Submission]:
        """Submissions with a row that has waited for so long; the caller ends them."""
        self._sweep()
        late: dict[Submission, None] = {}
        for since, place in self._grants:
            if since + limit_s > now:
                break
            if place.submission is not None and _waits(since, place):
                late[place.submission] = None
        return list(late)

    def take(self, most_rows: int) -> tuple[list[tuple[Submission, Slice]], float]:
        """Takes the rows of one batch.

        Args:
            most_rows: Rows that fit into the batch.

        Returns:
            The slices with their submissions, and when the one that waited longest began to wait.
        """
        if not self.rows:
            return [], 0.0
        key = self._all.turn() if len(self._groups) > 1 else next(iter(self._groups))
        group = self._groups[key]
        portions: dict[GroupBranch, int] = {}
        rows = min(most_rows, group.rows)
        group.rows -= rows
        self._all.rows -= rows
        group.divide(rows, portions)
        taken: list[tuple[Submission, Slice]] = []
        since = float("inf")
        for leaf, rows in portions.items():
            since = min(since, self._take(leaf, rows, taken))
        self._sweep()
        return taken, since

    def rows_before(self, flow: Flow, rows: int) -> int:
        """Estimates the rows that are served until a newcomer's last row is, its own included.

        Every flow that waits has its fair share meanwhile, and no more than it has now: rows that streams will ask for
        as they are read are not known, so the estimate is a low one.

        Args:
            flow: Whose rows.
            rows: How many.
        """
        branches: list[tuple[WholeBranch, float]] = []
        branch: WholeBranch | None = self._all
        for name, weight in _path(flow):
            if branch is None:
                break
            branches.append((branch, weight))
            branch = branch.members.get(name)
        served = float(rows)
        if branch is not None:
            served += min(branch.rows, rows * sum(leaf.submissions for leaf in branch.leaves.values()))
        for (parent, weight), (name, _) in zip(reversed(branches), reversed(_path(flow)[: len(branches)]), strict=True):
            turns = served / weight
            served += sum(
                min(member.rows, turns * member.account.weight)
                for member in parent.members.values()
                if member.name != name
            )
        return ceil(served)

    def _leaf(self, flow: Flow, key: GroupKey) -> GroupBranch:
        """The leaf for rows of a flow in a group; the caller counts rows into it at once."""
        whole = self._all
        for name, weight in _path(flow):
            whole = whole.members.get(name) or whole.member(name, weight)
        return whole.leaves.get(key) or self._new_leaf(whole, key)

    def _new_leaf(self, share: WholeBranch, key: GroupKey) -> GroupBranch:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = GroupBranch(self._all, key, None)
        caller = share.parent
        assert caller is not None
        assert caller.parent is not None
        for whole in (caller.parent, caller, share):
            group = group.member(whole)
        share.leaves[key] = group
        return group

    def _take(self, leaf: GroupBranch, rows: int, taken: list[tuple[Submission, Slice]]) -> float:
        """Takes rows of a leaf: its submissions in turn, each an even part of what is still to be taken."""
        since, caller = float("inf"), ""
        places, left = leaf.places, rows
        while left:
            place = places.popleft()
            submission = place.submission
            if submission is None:
                continue
            caller = submission.flow.caller
            given = min(submission.available_rows, max(1, left // leaf.submissions))
            since = min(since, submission.waiting_since)
            taken.append((submission, submission.take(given)))
            left -= given
            if submission.available_rows:
                places.append(place)
            else:
                place.submission = None
                leaf.submissions -= 1
                del self._places[submission]
        self._uncount(leaf, caller, rows)
        return since

    def _uncount(self, leaf: GroupBranch, caller: str, rows: int) -> None:
        """Forgets what is empty, now that rows of a leaf are gone."""
        group = self._groups.get(leaf.key)
        if group is not None and not group.rows:
            del self._groups[leaf.key]
        self._caller_rows[caller] -= rows
        if not self._caller_rows[caller]:
            del self._caller_rows[caller]

    def _sweep(self) -> None:
        """Drops grants whose rows no longer wait: the oldest ones, and others when there are too many."""
        grants = self._grants
        while grants and not _waits(*grants[0]):
            grants.popleft()
        if len(grants) > self._most_grants:
            self._grants = deque(grant for grant in grants if _waits(*grant))
            self._most_grants = 2 * len(self._grants) + SLACK


def _path(flow: Flow) -> tuple[tuple[Hashable, float], ...]:
    """The branches of a flow, from the root on, with their weights."""
    return (flow.priority, flow.priority.weight), (flow.caller, flow.weight), (flow.share, 1.0)


def _waits(since: float, place: Place) -> bool:
    """Whether rows that were granted then still wait."""
    return place.submission is not None and place.submission.waiting_since <= since
