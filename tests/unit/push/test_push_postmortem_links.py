"""The postmortem is written where it belongs, whatever lies in its way."""


def test_a_link_among_the_reports_leads_the_postmortem_nowhere(world):
    """Neither a folder nor a file of somebody else is written to: the names are ours, what they point to is not."""
    from ops_core.push import fire, regenerate_postmortem

    world.settle("hello")
    fire(world.settings, world.plane, authorised=False)
    elsewhere = world.root / "elsewhere"
    elsewhere.mkdir()
    folder = world.settings.reports_dir / "ops" / "push" / "postmortem"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(elsewhere)
    assert regenerate_postmortem(world.settings, world.plane) is not None
    assert list(elsewhere.iterdir()) == []
    assert (folder / "postmortem_latest.md").read_text(encoding="utf-8").startswith("#")
    assert not folder.is_symlink()
