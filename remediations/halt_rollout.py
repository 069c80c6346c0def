"""Halt a rollout that is under way, so that no more of what is failing gets out."""

from __future__ import annotations

from ops_core.remediation import CommandSays, Plan, PlanContext, PlanRefused, Step, remediation

STEP_S = 60.0


@remediation("halt_rollout")
def halt_rollout(context: PlanContext) -> Plan:
    """Run the operator's own command; what says whether a rollout is under way says whether it is halted.

    What is out already stays bad until it is rolled back, so the findings are left: to take the halt back because of
    them would let the rest out.
    """
    target = context.target
    if not target.rollout_halt_argv:
        raise PlanRefused(
            f"nobody knows how to halt a rollout of {target.name}",
            where=f"target {target.name}",
            next_step="set rollout_running_argv and rollout_halt_argv in ops.toml",
        )
    halted = CommandSays(argv=target.rollout_running_argv, yes=False)
    resume = Step(
        name="resume the rollout",
        argv=target.rollout_resume_argv,
        timeout_s=STEP_S,
        outcome=CommandSays(argv=target.rollout_running_argv, yes=True),
    )
    undo = (resume,) if target.rollout_resume_argv else ()
    return Plan(
        remediation="halt_rollout",
        target=target.name,
        findings=context.findings,
        steps=(Step(name="halt the rollout", argv=target.rollout_halt_argv, timeout_s=STEP_S, outcome=halted),),
        undo=undo,
        leaves=context.findings,
        no_undo={}
        if undo
        else {
            "en": "there is no rollout_resume_argv: begin the rollout anew when it is to go on",
            "ko": "rollout_resume_argv가 없습니다. 계속하려면 배포를 다시 시작하십시오",
        },
        summary={"en": f"halt the rollout of {target.name}", "ko": f"{target.name}의 진행 중인 배포를 중단"},
    )
