"""The algorithm of the HPA and of KEDA, against cases worked out by hand from Kubernetes's source."""

import pytest

from deploy.simulate.autoscaler import Autoscaler, Behavior, Kind, Policy, Rules, Select
from deploy.simulate.manifests import Fallback, Keda, Scaling, read_behavior, scaling_of
from deploy.simulate.proposals import Readings, Tolerance, by_pods, by_sum, largest
from deploy.simulate.simulation import KedaOperator

pytestmark = pytest.mark.deploy

TARGET = 100
DAY_S = 86400


@pytest.mark.parametrize(
    ("readings", "current", "replicas", "why"),
    [
        (Readings([150, 150, 150]), 3, 5, "450 / 300 is 1.5, and 1.5 x 3 pods is 4.5, rounded up"),
        (Readings([50, 40]), 2, 1, "90 / 200 is 0.45, and 0.45 x 2 pods is 0.9, rounded up"),
        (Readings([110, 110]), 2, 2, "1.1 is within the tolerance"),
        (Readings([112, 110]), 2, 3, "1.11 is not, and 2.22 is rounded up"),
        (Readings([90, 91]), 2, 2, "0.905 is within the tolerance"),
        (Readings([0, 0]), 2, 0, "nothing to do; minReplicas is for others to heed"),
        (Readings([200, 200], pending=2), 4, 4, "400 over 4 pods is just right once the pending ones are there"),
        (Readings([300, 300], pending=1), 3, 6, "600 over 3 pods is 2, and 2 x 3 pods is 6"),
        (Readings([120, 120], pending=1), 3, 3, "240 over 3 pods is 0.8: that would be the other direction"),
        (Readings([50, 50], pending=2), 4, 1, "downwards, pending pods do not count: 0.5 x 2 pods is 1"),
        (Readings([20], missing=1), 2, 2, "(20 + 100) over 2 pods is 0.6, and 1.2 is rounded up to what there is"),
        (Readings([20, 20], missing=1), 3, 2, "(40 + 100) over 3 pods is 0.467, and 1.4 is rounded up"),
        (Readings([250], missing=1), 2, 3, "(250 + 0) over 2 pods is 1.25, and 2.5 is rounded up"),
        (Readings([120], missing=1), 2, 2, "(120 + 0) over 2 pods is 0.6: that would be the other direction"),
        (Readings([170], missing=1, pending=1), 3, 3, "(170 + 0 + 0) over 3 pods is 0.57: the other direction"),
        (Readings([], pending=3), 3, None, "who tells nothing has no say"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_metric_of_pods_proposes(readings, current, replicas, why):
    assert by_pods(readings, TARGET, current) == replicas, why


@pytest.mark.parametrize(
    ("total", "current", "replicas", "why"),
    [
        (450, 3, 5, "4.5 rounded up"),
        (330, 3, 3, "110 a replica is within the tolerance"),
        (331, 3, 4, "110.3 is not"),
        (0, 3, 0, "nothing to do"),
        (270, 3, 3, "90 a replica is within the tolerance"),
        (269, 3, 3, "89.7 is not, and 2.69 is rounded up to what there is"),
    ],
)
def test_a_sum_proposes(total, current, replicas, why):
    assert by_sum(total, TARGET, current) == replicas, why


def test_the_tolerance_can_be_another_for_each_direction():
    assert by_sum(130, TARGET, 1, Tolerance(up=0.3, down=0)) == 1
    assert by_sum(199, TARGET, 2, Tolerance(up=0.3, down=0)) == 2
    assert by_sum(100, TARGET, 2, Tolerance(up=0.3, down=0)) == 1


def test_of_several_metrics_the_largest_proposal_wins():
    assert largest([3, 7, 5], current=4) == 7
    assert largest([None, 7], current=4) == 7


def test_a_metric_that_cannot_be_read_forbids_to_go_down_and_no_metric_at_all_changes_nothing():
    assert largest([None, 3], current=4) is None
    assert largest([None], current=4) is None


def scaled(behavior, proposals, start, *, most=1000, step_s=15):
    """What comes of proposals, one a sync."""
    autoscaler, replicas, course = Autoscaler(1, most, behavior), start, []
    for number, proposal in enumerate(proposals):
        replicas = autoscaler.sync(number * step_s, replicas, proposal)
        course.append(replicas)
    return course


def test_by_default_it_doubles_or_adds_four_pods_every_15_s_whichever_is_more():
    # 1 + 4 = 5 is more than 1 x 2; 5 x 2 = 10 is more than 5 + 4; then 20, 40, and at last what is asked for.
    assert scaled(Behavior(), [50] * 6, start=1) == [5, 10, 20, 40, 50, 50]


def test_by_default_it_goes_down_when_the_greatest_proposal_of_300_s_is_low_and_then_at_once():
    # 10 was proposed at 0 s. At 285 s that is still in the window; at 300 s it is not.
    course = scaled(Behavior(), [10] + [2] * 25, start=10)
    assert course[:20] == [10] * 20
    assert course[20:] == [2] * 6


def test_a_proposal_within_the_window_holds_up_the_way_down_as_far_as_it_goes():
    # At 150 s 6 was proposed once: from 300 s on that is the greatest of the window, until 450 s.
    course = scaled(Behavior(), [10] + [2] * 9 + [6] + [2] * 25, start=10)
    assert course[19:21] == [10, 6]
    assert course[29:31] == [6, 2]


def test_the_upward_window_takes_the_least_of_its_time():
    behavior = Behavior(up=Rules(60, (Policy(Kind.PERCENT, 900, 15),)))
    # The autoscaler begins with what there is, 2 at 0 s: that is in the window until 60 s. Then the least is 5.
    assert scaled(behavior, [8, 8, 5, 8, 8, 8, 8], start=2) == [2, 2, 2, 2, 5, 5, 8]


def test_a_policy_counts_what_changed_in_its_period():
    behavior = Behavior(up=Rules(0, (Policy(Kind.PODS, 2, 60),)))
    # 2 at 0 s; the period is over at 60 s, and at 120 s.
    assert scaled(behavior, [20] * 9, start=3) == [5, 5, 5, 5, 7, 7, 7, 7, 9]


def test_what_went_in_the_period_is_added_again_before_it_is_bounded():
    down = Rules(0, (Policy(Kind.PODS, 4, 60),))
    behavior = Behavior(up=Rules(0, (Policy(Kind.PODS, 1, 60),)), down=down)
    # 10 -> 6 at 0 s. At 15 s the period began with 10: 11 are allowed, and 9 are wanted.
    assert scaled(behavior, [6, 9], start=10) == [6, 9]


def test_of_several_policies_min_takes_the_one_that_changes_least():
    policies = (Policy(Kind.PERCENT, 20, 60), Policy(Kind.PODS, 2, 60))
    # 20 % of 20 are 4, and 2 pods are less; 20 % of 4 are 0.8, cut off: 3.2 is 3, which is 1 pod.
    assert scaled(Behavior(down=Rules(0, policies, Select.MIN)), [1], start=20) == [18]
    assert scaled(Behavior(down=Rules(0, policies, Select.MIN)), [1], start=4) == [3]
    assert scaled(Behavior(down=Rules(0, policies, Select.MAX)), [1], start=20) == [16]


def test_a_direction_can_be_disabled():
    disabled = Rules(0, (Policy(Kind.PODS, 4, 15),), Select.DISABLED)
    assert scaled(Behavior(down=disabled), [1, 9], start=5) == [5, 9]
    assert scaled(Behavior(up=disabled), [9], start=5) == [5]


def test_a_percentage_is_computed_as_kubernetes_does_it_in_binary_fractions():
    # 50 x (1 + 10 / 100) is 55.00000000000001, and that is rounded up.
    assert scaled(Behavior(up=Rules(0, (Policy(Kind.PERCENT, 10, 60),))), [90], start=50) == [56]


def test_bounds_hold_and_who_is_outside_is_brought_back_at_once():
    assert scaled(Behavior(), [50, 50], start=4, most=7) == [7, 7]
    autoscaler = Autoscaler(3, 7)
    assert autoscaler.sync(0, 1, None) == 3
    assert autoscaler.sync(15, 9, None) == 7
    assert Autoscaler(3, 7).sync(0, 3, 0) == 3


def test_without_a_proposal_nothing_changes_and_no_replicas_are_none_of_its_business():
    assert scaled(Behavior(), [None, None], start=4) == [4, 4]
    assert Autoscaler(1, 5).sync(0, 0, 3) == 0


def keda(fallback=Fallback.STATIC, least=2, **settings):
    settings = {"failures": 2, "fallback": 6, "fallback_behavior": fallback, **settings}
    return KedaOperator(Keda(**settings), Scaling(least, 20, TARGET, Behavior(), Keda()))


def test_keda_passes_the_metric_on_and_after_failures_in_a_row_that_of_its_fallback():
    operator = keda()
    assert [operator.metric(total, 3) for total in (250, None, None, 240, None, None, None)] == [
        250, None, None, 240, None, None, 6 * TARGET
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("behavior", "replicas"),
    [(Fallback.STATIC, 6), (Fallback.CURRENT, 9), (Fallback.IF_HIGHER, 9), (Fallback.IF_LOWER, 6)],
)
def test_kedas_fallback_heeds_the_replicas_that_there_are(behavior, replicas):
    assert keda(behavior, failures=0).metric(None, 9) == replicas * TARGET


def test_keda_without_a_fallback_tells_of_the_error():
    operator = keda(fallback=0)
    operator._keda = Keda()
    assert [operator.metric(None, 3) for _ in range(5)] == [None] * 5


def test_keda_goes_to_none_after_its_cooldown_and_from_none_to_one_when_there_is_something_to_do():
    operator = keda(least=0, cooldown_s=300)
    assert operator.poll(0, 2, 5.0) == 2
    assert operator.poll(270, 2, 0.0) == 2
    assert operator.poll(300, 2, 0.0) == 0
    assert operator.poll(330, 0, None) == 0
    assert operator.poll(360, 0, 5.0) == 1


def test_keda_never_goes_below_the_least():
    assert keda(least=2).poll(DAY_S, 2, 0.0) == 2


def test_a_behavior_is_read_and_what_it_leaves_out_is_kubernetess_default():
    read = read_behavior(
        {
            "scaleUp": {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 30}], "tolerance": "0.2"},
            "scaleDown": {"stabilizationWindowSeconds": 600, "selectPolicy": "Min"},
        }
    )
    assert read.up == Rules(0, (Policy(Kind.PODS, 2, 30),), Select.MAX, 0.2)
    assert read.down == Rules(600, (Policy(Kind.PERCENT, 100, 15),), Select.MIN)
    assert read.tolerance == Tolerance(0.2, 0.1)
    assert read_behavior({}) == Behavior()


def test_an_hpa_is_read():
    metric = {"type": "Pods", "pods": {"target": {"type": "AverageValue", "averageValue": "1500m"}}}
    spec = {"minReplicas": 2, "maxReplicas": 9, "metrics": [metric]}
    assert scaling_of([None, {"kind": "HorizontalPodAutoscaler", "spec": spec}]) == Scaling(2, 9, 1.5, Behavior())


def test_a_scaled_object_is_read():
    spec = {
        "minReplicaCount": 1,
        "cooldownPeriod": 600,
        "fallback": {"failureThreshold": 3, "replicas": 4, "behavior": "currentReplicasIfHigher"},
        "triggers": [{"metadata": {"threshold": "90", "activationThreshold": "5"}}],
    }
    read = scaling_of([{"kind": "ScaledObject", "spec": spec}])
    assert read == Scaling(1, 100, 90, Behavior(), Keda(30, 600, 5, 3, 4, Fallback.IF_HIGHER))


def test_what_is_no_autoscaler_is_refused():
    with pytest.raises(ValueError, match="neither a HorizontalPodAutoscaler nor"):
        scaling_of([{"kind": "Deployment"}])
    with pytest.raises(ValueError, match="no metric with an averageValue"):
        scaling_of([{"kind": "HorizontalPodAutoscaler", "spec": {"maxReplicas": 3}}])
