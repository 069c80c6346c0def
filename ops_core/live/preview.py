"""The alert preview: what people would be told of a bundle, in their language. Pure; shown on the console alone."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ops_core.live.judging import Decision

# By language, the lines; each names what it is filled with.
LINES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": (
            "PREVIEW, on this console alone: nothing was sent",
            "decision {decision}",
            "bundle {bundle_id}, made by {producer} at {created_at}, good until {fresh_until}",
            "gate {execution_gate}, delivery {delivery_policy}, external send {external_send}",
        ),
        "ko": (
            "미리보기(CONSOLE 전용): 외부로 발송된 것은 없음",
            "결정 {decision}",
            "번들 {bundle_id}, {producer} 생성 {created_at}, 유효 기한 {fresh_until}",
            "실행 게이트 {execution_gate}, 전달 정책 {delivery_policy}, 외부 발송 {external_send}",
        ),
    }
)
LINE_MAX_CHARS = 400


def lines_of(lang: str, decision: Decision, bundle: Mapping[str, Any], modes: Mapping[str, Any]) -> list[str]:
    """The preview, line by line.

    Args:
        lang: en or ko.
        decision: what the bundle says is to be done.
        bundle: the bundle in force, as receipts tell it.
        modes: those that are in force, as receipts tell them.
    """
    told = {**bundle, **modes, "decision": decision.value}
    return [line.format_map(told)[:LINE_MAX_CHARS] for line in LINES[lang]]
