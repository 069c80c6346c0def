"""Faults of containers: each trouble that an engine tells of, with the image that was last seen good and a new one."""

from __future__ import annotations

import signal
from functools import partial

from ops_core.drill import container_engine
from ops_core.drill.container_stack import GOOD, HEARTBEAT_S, SHOP, ContainerStack
from ops_core.drill.fault import RESTART, Fault
from ops_core.drill.injectors import Step, Test

ROLLBACK_IMAGE = "rollback_image"
NEW_IMAGE = ("image.unproven",)
CRASHES = 3
BROKEN = ("BROKEN=1",)
# So long a remedy may show its effect that cannot have one.
HOPELESS_S = 3.0
# The size of the window, and some more: heartbeats come five times a second.
SILENT_AFTER_S = HEARTBEAT_S + 0.5


def signalled(which: str) -> Step[ContainerStack]:
    """The container's process gets a signal."""

    def do(stack: ContainerStack, _service: str) -> None:
        stack.signal(which)

    return do


def paused(stack: ContainerStack, _service: str) -> None:
    """The container is frozen."""
    stack.pause()


def removed(stack: ContainerStack, _service: str) -> None:
    """The container is removed."""
    stack.remove()


def deployed(
    image: str, *, env: tuple[str, ...] = (), command: tuple[str, ...] = (), restart: str = "no"
) -> Step[ContainerStack]:
    """The container is replaced by one of that image, environment, command and restart policy."""

    def do(stack: ContainerStack, _service: str) -> None:
        stack.run(image, env=env, command=command, restart=restart)

    return do


def engine_frozen(stack: ContainerStack, _service: str) -> None:
    """The engine is stopped (SIGSTOP): it takes connections and never answers."""
    stack.signal_engine(signal.SIGSTOP)


def engine_woken(stack: ContainerStack, _service: str) -> None:
    """The engine goes on."""
    stack.signal_engine(signal.SIGCONT)


def engine_is_frozen(stack: ContainerStack, _service: str) -> bool:
    """The kernel says that it is stopped."""
    return stack.engine_state() == "T"


def is_in(*states: str) -> Test[ContainerStack]:
    """The engine says that it is in one of these states; `missing` where it has none."""

    def holds(stack: ContainerStack, _service: str) -> bool:
        found = stack.find()
        return (found.state if found is not None else "missing") in states

    return holds


def unhealthy(stack: ContainerStack, _service: str) -> bool:
    """It runs, and its own health check fails."""
    found = stack.find()
    return found is not None and (found.state, found.health) == ("running", "unhealthy")


def restarts(stack: ContainerStack, _service: str) -> bool:
    """The engine has started it again and again."""
    found = stack.find()
    return found is not None and found.restart_count >= CRASHES


def silent(stack: ContainerStack, _service: str) -> bool:
    """It is well for as long as it takes to be sure, and has no heartbeat."""
    found = stack.find()
    return found is not None and found.state == "running" and stack.silent_s() > SILENT_AFTER_S


def logs_errors(stack: ContainerStack, _service: str) -> bool:
    """It is well, and has logged an error."""
    return stack.is_well() and "error" in stack.log()


_fault = partial(Fault, stack=ContainerStack, service=SHOP, needs=container_engine.PROGRAMS)
_new = partial(_fault, facts=NEW_IMAGE, remediation=ROLLBACK_IMAGE)

CONTAINER: tuple[Fault, ...] = (
    _fault(
        name="container-killed",
        description={
            "en": "the container's process is killed (SIGKILL)",
            "ko": "컨테이너 프로세스가 강제 종료됨 (SIGKILL)",
        },
        findings=("container.exited",),
        row="container-exited",
        remediation=RESTART,
        do=signalled("KILL"),
        holds=is_in("exited"),
    ),
    _fault(
        name="container-paused",
        description={"en": "the container is paused", "ko": "컨테이너가 일시 정지됨"},
        findings=("container.exited",),
        row="container-exited",
        remediation=RESTART,
        do=paused,
        holds=is_in("paused"),
    ),
    _fault(
        name="container-removed",
        description={
            "en": "the container is removed: there is nothing to start, somebody has to deploy it again",
            "ko": "컨테이너가 삭제됨: 시작할 대상이 없어 다시 배포해야 함",
        },
        findings=("container.exited",),
        row="container-exited",
        remediation=None,
        do=removed,
        holds=is_in("missing"),
    ),
    _fault(
        name="container-sick",
        description={
            "en": "the container runs, and its own health check fails",
            "ko": "컨테이너는 실행 중이지만 자체 헬스 체크가 실패함",
        },
        findings=("container.unhealthy",),
        row="container-unhealthy",
        remediation=RESTART,
        do=signalled("USR1"),
        holds=unhealthy,
    ),
    _fault(
        name="container-crash-loop",
        description={
            "en": "the container ends as soon as it is started, and the engine starts it each time",
            "ko": "컨테이너가 시작 직후 종료되고 엔진이 매번 다시 시작함",
        },
        findings=("container.restarting",),
        row="container-restarting",
        remediation=None,
        do=deployed(GOOD, command=("/service", "crash"), restart="always"),
        holds=restarts,
    ),
    _fault(
        name="container-mute",
        description={
            "en": "the container runs, and its heartbeat stops",
            "ko": "컨테이너는 실행 중이지만 heartbeat가 멈춤",
        },
        findings=("container.silent",),
        row="container-silent",
        remediation=RESTART,
        do=signalled("USR2"),
        holds=silent,
    ),
    _fault(
        name="container-noisy",
        description={
            "en": "the container logs an error and goes on",
            "ko": "컨테이너가 오류 로그를 남기고 계속 동작함",
        },
        findings=("container.errors_logged",),
        row="container-errors-logged",
        remediation=None,
        do=signalled("HUP"),
        holds=logs_errors,
    ),
    _new(
        name="image-crashes",
        description={"en": "a new image ends as soon as it is started", "ko": "새 이미지가 시작 직후 종료됨"},
        findings=("container.exited",),
        row="container-exited-new-image",
        do=deployed("crash"),
        holds=is_in("exited"),
    ),
    _new(
        name="image-sick",
        description={"en": "a new image fails its health check", "ko": "새 이미지의 헬스 체크가 실패함"},
        findings=("container.unhealthy",),
        row="container-unhealthy-new-image",
        do=deployed("sick"),
        holds=unhealthy,
    ),
    _new(
        name="image-crash-loop",
        description={
            "en": "a new image ends as soon as it is started, and the engine starts it each time",
            "ko": "새 이미지가 시작 직후 종료되고 엔진이 매번 다시 시작함",
        },
        findings=("container.restarting",),
        row="container-restarting-new-image",
        do=deployed("crash", restart="always"),
        holds=restarts,
    ),
    _new(
        name="image-mute",
        description={"en": "a new image has no heartbeat", "ko": "새 이미지에 heartbeat가 없음"},
        findings=("container.silent",),
        row="container-silent-new-image",
        do=deployed("mute"),
        holds=silent,
    ),
    _new(
        name="image-not-to-blame",
        description={
            "en": "a new image is deployed together with a setting that makes every image sick: the rollback is undone",
            "ko": "모든 이미지를 고장 내는 설정과 함께 새 이미지가 배포됨: 롤백이 도움이 되지 않아 되돌려짐",
        },
        findings=("container.unhealthy",),
        row="container-unhealthy-new-image",
        curable=False,
        undone=True,
        verify_s=HOPELESS_S,
        do=deployed("sick", env=BROKEN),
        holds=unhealthy,
    ),
    _fault(
        name="engine-frozen",
        description={
            "en": "the container engine takes connections and never answers: nothing is known about the container",
            "ko": "컨테이너 엔진이 연결은 받지만 응답하지 않음: 컨테이너 상태를 알 수 없음",
        },
        findings=(),
        unseen=("container.exited", "container.unhealthy", "container.silent"),
        absent=("container.exited", "container.unhealthy", "container.silent"),
        remediation=None,
        do=engine_frozen,
        holds=engine_is_frozen,
        undo=engine_woken,
    ),
)
