"""Whose turn it is: weighted fair queueing by rows, over a tree of classes, callers and their shares.

Start-time fair queueing (Goyal, Vin & Cheng, "Start-time fair queueing: a scheduling algorithm for integrated services
packet switching networks", SIGCOMM 1996, section 2) among the members of each branch, as a tree (Goyal, Guo & Vin, "A
hierarchical CPU scheduler for multimedia operating systems", OSDI 1996). Each member has a start tag, its service so
far in rows by its weight; the one with the least is next, and its tag grows by what it is given. One that was idle
begins where the least of those that wait stands, or at its own tag if that is greater: it has saved up no credit, and
has not got rid of what it was given (that this time is the least tag, and not that of the row in service, is of WF2Q+:
Bennett & Zhang, "Hierarchical packet fair queueing algorithms", IEEE/ACM Transactions on Networking 5(5), 1997).

A batch takes rows of one group only. So there is a tree for each group, with those that have rows in it, and one over
all groups, which says whose turn it is; the tags are common to all trees.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count
from typing import Self

from genservice.engine.submission import Submission

SLACK = 64
"""Entries that nobody needs any more, beside as many as are needed, before they are swept out."""

_order = count()
"""Members of equal tags take turns in the order in which they got them."""


@dataclass(slots=True, eq=False)
class Account:
    """What a member was given, in all groups together.

    Args:
        weight: Its share among its siblings.
        start: Its start tag.
    """

    weight: float
    start: float


class Branch:
    """A node of a tree: its members that have rows, in the order of their turns.

    A member whose rows are gone leaves, and is another object when it comes again.

    Args:
        name: Name among its siblings.
        account: What it was given.
        parent: Its branch; None at the root.
    """

    __slots__ = ("_heap", "account", "members", "name", "parent", "rows", "weight")

    def __init__(self, name: Hashable, account: Account, parent: Self | None) -> None:
        self.name = name
        self.account = account
        self.parent: Self | None = parent
        self.rows = 0
        self.weight = 0.0
        self.members: dict[Hashable, Self] = {}
        self._heap: list[tuple[float, int, Self]] = []

    def join(self, member: Self) -> None:
        """Takes in a member that gets rows now."""
        self.members[member.name] = member
        self.weight += member.account.weight
        heappush(self._heap, (member.account.start, next(_order), member))

    def leave(self, member: "Branch") -> None:
        """Lets a member go whose rows are gone."""
        del self.members[member.name]
        self.weight -= member.account.weight
        if not self.members:
            # The sum of none is nought, whatever was rounded; and what nobody points to needs no look for cycles.
            self.weight = 0.0
            self._heap.clear()
        elif len(self._heap) > 2 * len(self.members) + SLACK:
            self._heap = [(member.account.start, next(_order), member) for member in self.members.values()]
            heapify(self._heap)

    def first(self) -> Self:
        """The member whose turn it is; only while there is one."""
        heap = self._heap
        while True:
            start, _, member = heap[0]
            if not member.rows:
                heappop(heap)
            elif member.account.start > start:
                # It was served since, perhaps through another tree.
                heapreplace(heap, (member.account.start, next(_order), member))
            else:
                return member


class WholeBranch(Branch):
    """A node of the tree over all groups: counts all rows of its flow, and is where members get their accounts.

    Attributes:
        leaves: Where it is a share: what it has in each group, the next one first.
    """

    __slots__ = ("_left", "_most_left", "leaves")

    def __init__(self, name: Hashable, account: Account, parent: Self | None) -> None:
        super().__init__(name, account, parent)
        self.leaves: OrderedDict[Hashable, GroupBranch] = OrderedDict()
        self._left: dict[Hashable, float] = {}
        self._most_left = SLACK

    def member(self, name: Hashable, weight: float) -> Self:
        """The member of that name; one that has no rows joins, and gets some now."""
        member = self.members.get(name)
        if member is None:
            least = self.first().account.start if self.members else 0.0
            member = type(self)(name, Account(weight, max(self._left.pop(name, 0.0), least)), self)
            self.join(member)
        return member

    def leave(self, member: "Branch") -> None:
        """Lets a member go and remembers its tag, while that is more than the least; when all have gone, none is."""
        super().leave(member)
        if not self.members:
            self._left.clear()
            return
        self._left[member.name] = member.account.start
        if len(self._left) > self._most_left:
            least = self.first().account.start
            self._left = {name: start for name, start in self._left.items() if start > least}
            self._most_left = 2 * len(self._left) + SLACK

    def turn(self) -> Hashable:
        """The group from which the share takes rows whose turn it is; its groups take turns."""
        branch = self
        while branch.members:
            branch = branch.first()
        group = next(iter(branch.leaves))
        branch.leaves.move_to_end(group)
        return group


class GroupBranch(Branch):
    """A node of a group's tree. Its leaves have the submissions of one share in the group, which take turns.

    Args:
        whole: The same node of the tree over all groups.
        key: The group's key.
        parent: Its branch; None at the root.

    Attributes:
        places: Where it is a leaf: its submissions' places, the next one first; those of submissions that have left are
            passed over.
        submissions: Where it is a leaf: how many there are.
    """

    __slots__ = ("_lineage", "key", "places", "submissions", "whole")

    def __init__(self, whole: WholeBranch, key: Hashable, parent: Self | None) -> None:
        super().__init__(whole.name, whole.account, parent)
        self.whole = whole
        self.key = key
        self.places: deque[Place] = deque()
        self.submissions = 0

    def member(self, whole: WholeBranch) -> Self:
        """The member that is the same as one of the tree over all groups; one that has no rows joins."""
        member = self.members.get(whole.name)
        if member is None:
            member = type(self)(whole, self.key, self)
            self.join(member)
        return member

    def divide(self, rows: int, portions: "dict[GroupBranch, int]") -> None:
        """Gives out rows to the leaves in fair order, and counts them out.

        Row by row, the member with the least tag would get the next one. It comes to the same, to a row, and takes a
        step for each member instead, to fill each up to the tag that all would reach if all had rows enough.

        Args:
            rows: How many; no more than there are.
            portions: Is told how many each leaf gives.
        """
        level = float("-inf")
        while rows:
            member = self.first()
            account = member.account
            if account.start >= level:
                level = account.start + rows / self.weight
            given = min(rows, member.rows, max(1, int((level - account.start) * account.weight)))
            account.start += given / account.weight
            rows -= given
            self._count_out(member, given)
            if member.members:
                member.divide(given, portions)
            else:
                portions[member] = portions.get(member, 0) + given

    def count_in(self, rows: int) -> None:
        """Counts rows of a leaf in, in both trees."""
        group: GroupBranch | None = self
        while group is not None:
            group.rows += rows
            group.whole.rows += rows
            group = group.parent

    def count_out(self, rows: int) -> None:
        """Counts rows of a leaf out, in both trees; whoever has none left leaves."""
        group = self
        while group.parent is not None:
            group.parent._count_out(group, rows)
            group = group.parent
        group.rows -= rows
        group.whole.rows -= rows

    def _count_out(self, member: "GroupBranch", rows: int) -> None:
        member.rows -= rows
        if not member.rows:
            self.leave(member)
            member.whole.leaves.pop(self.key, None)
        whole = member.whole
        whole.rows -= rows
        if not whole.rows:
            assert whole.parent is not None
            whole.parent.leave(whole)

    def line_up(self, place: "Place") -> None:
        """Gives a submission of a leaf its place, after all others."""
        self.places.append(place)
        self.submissions += 1

    def give_up(self, place: "Place") -> None:
        """Takes a submission's place away, wherever in the line it is."""
        place.submission = None
        self.submissions -= 1
        if len(self.places) > 2 * self.submissions + SLACK:
            self.places = deque(place for place in self.places if place.submission is not None)


@dataclass(slots=True, eq=False)
class Place:
    """A submission's place in the queue.

    Args:
        submission: Which; None once it has left, so that nothing that remembers the place holds on to it.
        leaf: Where it is.
    """

    submission: Submission | None
    leaf: GroupBranch
