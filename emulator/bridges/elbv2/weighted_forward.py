"""A forward action keeps all of its target groups and their weights.

Why: ministack keeps one target group a forward action, where blue/green releases weigh two against each
other, in templates as well as through ModifyRule.
Unnecessary when ministack's ALB keeps ForwardConfig.
"""

# These packages are in the emulator's own environment.
# mypy: disable-error-code="import-not-found, import-untyped"
# pyright: reportMissingImports=false, reportMissingModuleSource=false

from __future__ import annotations

from typing import Any

from emulator.bridges import Context, replace


def install(context: Context) -> None:
    from ministack.services import alb
    from ministack.services.cloudformation import provisioners

    replace(alb, "_action_xml", _with_forward_config)
    replace(alb, "_parse_actions", _parsing_forward_config)
    replace(provisioners, "_elbv2_listener_actions", _keeping_forward_config)


def _keeping_forward_config(original: Any) -> Any:
    def actions(props: dict[str, Any], lb_arn: Any, prop: str = "DefaultActions") -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = original(props, lb_arn, prop)
        declared = [item for item in props.get(prop) or [] if isinstance(item, dict)]
        for entry, action in zip(entries, declared, strict=True):
            if isinstance(action.get("ForwardConfig"), dict):
                entry["ForwardConfig"] = action["ForwardConfig"]
        return entries

    return actions


def _parsing_forward_config(original: Any) -> Any:
    def parse(params: dict[str, Any], prefix: str = "DefaultActions") -> list[dict[str, Any]]:
        from ministack.services import alb

        actions: list[dict[str, Any]] = original(params, prefix)
        for number, action in enumerate(actions, start=1):
            groups = []
            base = f"{prefix}.member.{number}.ForwardConfig.TargetGroups.member"
            for index in range(1, 6):
                arn = alb._p(params, f"{base}.{index}.TargetGroupArn")
                if arn:
                    groups.append(
                        {"TargetGroupArn": arn, "Weight": int(alb._p(params, f"{base}.{index}.Weight", "1"))}
                    )
            if groups:
                action["ForwardConfig"] = {"TargetGroups": groups}
                action.setdefault("TargetGroupArn", groups[0]["TargetGroupArn"])
        return actions

    return parse


def _with_forward_config(original: Any) -> Any:
    def xml(action: dict[str, Any]) -> str:
        text: str = original(action)
        groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
        if not groups:
            return text
        members = "".join(
            f"<member><TargetGroupArn>{group['TargetGroupArn']}</TargetGroupArn>"
            f"<Weight>{group.get('Weight', 1)}</Weight></member>"
            for group in groups
        )
        return text.replace(
            "</member>", f"<ForwardConfig><TargetGroups>{members}</TargetGroups></ForwardConfig></member>"
        )

    return xml
