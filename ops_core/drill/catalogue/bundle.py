"""Faults of the hand-off: what is in force is gone, changed or old; what is offered is forged; the day is not done.

A person has to act on each of them. What is refused must leave the bundle before it in force.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from ops_core.drill import bundle_injectors as by
from ops_core.drill.bundle_injectors import Offer
from ops_core.drill.fault import Fault
from ops_core.drill.injectors import Step, in_turn
from ops_core.drill.split_stack import SplitStack, put_right

_fault = partial(Fault, stack=SplitStack, service="", remediation=None, undo=put_right)
_tampered = partial(_fault, findings=("bundle.tampered",), row="bundle-tampered")
_TAMPERED = by.sees(lambda seen: seen.bundle is not None and bool(seen.bundle.problem))


def _refused(name: str, code: str, en: str, ko: str, do: Step[SplitStack], undo: Step[SplitStack] = put_right) -> Fault:
    return _fault(
        name=name,
        description={"en": en, "ko": ko},
        findings=("bundle.refused",),
        absent=("bundle.missing", "bundle.tampered", "bundle.stale"),
        row="bundle-refused",
        do=do,
        holds=by.refused(code),
        undo=undo,
    )


IN_FORCE = (
    _fault(
        name="bundle-missing",
        description={
            "en": "the operator's host is set up anew, without its store and its bundles, and nobody pulls",
            "ko": "operator 호스트가 저장소와 번들 없이 새로 구성되었고 아무도 pull하지 않음",
        },
        findings=("bundle.missing", "summary.outdated", "live_cycle.not_run"),
        row="bundle-missing",
        do=by.set_up_anew,
        holds=by.sees(lambda seen: seen.bundle is None),
    ),
    _tampered(
        name="bundle-edited",
        description={"en": "a file of the bundle in force is edited", "ko": "적용 중인 번들의 파일이 수정됨"},
        do=by.edited,
        holds=_TAMPERED,
    ),
    _tampered(
        name="bundles-deleted",
        description={
            "en": "the folder of bundles is deleted, the link to the one in force with it",
            "ko": "번들 폴더가 적용 중인 번들의 링크와 함께 삭제됨",
        },
        do=by.folder_gone,
        holds=_TAMPERED,
    ),
    _tampered(
        name="bundle-link-moved",
        description={
            "en": "the link to the bundle in force is pointed at an older one by hand",
            "ko": "적용 중인 번들의 링크가 수동으로 이전 번들을 가리키도록 변경됨",
        },
        do=by.link_moved,
        holds=_TAMPERED,
    ),
    _fault(
        name="bundle-stale",
        description={
            "en": "the bundle in force grows too old: the producer hands over nothing new",
            "ko": "적용 중인 번들의 유효 기간이 지남: producer가 새 번들을 내보내지 않음",
        },
        findings=("bundle.stale",),
        row="bundle-stale",
        do=by.gone_stale,
        holds=by.sees(lambda seen: seen.bundle is not None and not (seen.bundle.problem or seen.bundle.fresh)),
    ),
)

OFFERED = (
    _refused(
        "bundle-swapped",
        "TAMPERED",
        "a file on the branch holds something else than was signed",
        "브랜치의 파일 내용이 서명된 내용과 다름",
        by.offered(Offer(swapped=True), "TAMPERED"),
    ),
    _refused(
        "bundle-incomplete",
        "INCOMPLETE",
        "a bundle is pushed without a file that its manifest names",
        "매니페스트에 있는 파일이 빠진 번들이 push됨",
        by.offered(Offer(cut=True), "INCOMPLETE"),
    ),
    _refused(
        "bundle-replayed",
        "REPLAYED",
        "the bundle before this one is pushed once more",
        "이전 번들이 다시 push됨",
        by.offered_again,
    ),
    _refused(
        "bundle-of-a-stranger",
        "WRONG_PRODUCER",
        "a bundle of a producer that nobody knows is pushed",
        "알 수 없는 producer의 번들이 push됨",
        by.offered(Offer(producer=by.STRANGER, own_key=False), "WRONG_PRODUCER"),
    ),
    _refused(
        "bundle-signature-forged",
        "BAD_SIGNATURE",
        "somebody signs a bundle in the name of the producer with a key of their own",
        "누군가 자신의 키로 producer 이름의 번들에 서명함",
        by.offered(Offer(own_key=False), "BAD_SIGNATURE"),
    ),
    _refused(
        "bundle-from-the-future",
        "FROM_THE_FUTURE",
        "the producer's clock is two hours ahead",
        "producer 호스트의 시계가 두 시간 빠름",
        by.offered(Offer(age=-timedelta(hours=2)), "FROM_THE_FUTURE"),
    ),
    _refused(
        "bundle-too-old-to-take",
        "STALE",
        "a bundle is pushed that is too old to be taken",
        "유효 기간이 지난 번들이 push됨",
        by.offered(Offer(age=timedelta(hours=30)), "STALE"),
    ),
    _refused(
        "bundle-held-back",
        "HELD_BACK",
        "a bundle was rolled back from, and the next pull is offered it again",
        "롤백한 번들이 다음 pull에서 다시 제공됨",
        by.held_back,
        in_turn(by.taken_again, put_right),
    ),
)

DUE = (
    _fault(
        name="summary-never-made",
        description={
            "en": "on a host that was set up anew the live cycle is run, and no summary is made",
            "ko": "새로 구성된 호스트에서 Live Cycle만 실행되고 Ops Summary가 만들어지지 않음",
        },
        findings=("summary.outdated",),
        row="summary-outdated",
        do=by.no_summary,
        holds=by.sees(lambda seen: seen.summary is None),
    ),
    _fault(
        name="summary-outdated",
        description={"en": "the last summary is two days old", "ko": "마지막 Ops Summary가 이틀 전에 만들어짐"},
        findings=("summary.outdated",),
        row="summary-outdated",
        do=by.summary_old,
        holds=by.sees(lambda seen: seen.summary is not None and not seen.summary.current),
    ),
    _fault(
        name="live-cycle-never-run",
        description={
            "en": "on a host that was set up anew nobody runs the live cycle",
            "ko": "새로 구성된 호스트에서 Live Cycle이 실행되지 않음",
        },
        findings=("live_cycle.not_run",),
        row="live-cycle-not-run",
        do=by.no_live_cycle,
        holds=by.sees(lambda seen: seen.live_cycle is None),
    ),
    _fault(
        name="live-cycle-missed",
        description={
            "en": "nobody ran the live cycle of this morning",
            "ko": "오늘 오전 Live Cycle이 실행되지 않음",
        },
        findings=("live_cycle.not_run",),
        row="live-cycle-not-run",
        do=by.slot_missed,
        holds=by.sees(lambda seen: bool(seen.missed)),
    ),
    _fault(
        name="live-cycle-failed",
        description={
            "en": "the bundle does not say what to do, and the live cycle fails",
            "ko": "번들에 결정이 없어 Live Cycle이 실패함",
        },
        findings=("live_cycle.failed",),
        row="live-cycle-failed",
        do=by.nothing_decided,
        holds=by.sees(lambda seen: seen.live_cycle is not None and seen.live_cycle.result == "FAILED"),
    ),
    _fault(
        name="live-cycle-killed",
        description={
            "en": "a live cycle is killed (SIGKILL) in the middle: it began and did not end",
            "ko": "Live Cycle이 도중에 강제 종료됨 (SIGKILL): 시작했지만 끝나지 않음",
        },
        findings=("live_cycle.failed",),
        row="live-cycle-failed",
        do=by.cycle_killed,
        holds=by.sees(lambda seen: seen.live_cycle is not None and seen.live_cycle.result == "OPEN"),
    ),
    _fault(
        name="snapshot-deleted",
        description={
            "en": "the bundle that the live cycle decided on is deleted once a newer one is in force",
            "ko": "새 번들이 적용된 뒤 Live Cycle이 근거로 삼은 번들이 삭제됨",
        },
        findings=("snapshot.unresolvable",),
        row="snapshot-unresolvable",
        do=by.decided_on_gone,
        holds=by.sees(lambda seen: seen.live_cycle is not None and bool(seen.live_cycle.snapshot_problem)),
    ),
    _fault(
        name="snapshot-edited",
        description={
            "en": "the file that the live cycle decided on is edited once a newer bundle is in force",
            "ko": "새 번들이 적용된 뒤 Live Cycle이 근거로 삼은 파일이 수정됨",
        },
        findings=("snapshot.unresolvable",),
        row="snapshot-unresolvable",
        do=by.decided_on_edited,
        holds=by.sees(lambda seen: seen.live_cycle is not None and bool(seen.live_cycle.snapshot_problem)),
    ),
)

BUNDLE: tuple[Fault, ...] = (*IN_FORCE, *OFFERED, *DUE)
