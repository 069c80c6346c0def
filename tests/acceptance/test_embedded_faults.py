"""Every fault of the embedded stack, put into a running stack: it is real, its remedy heals it, and it can be withdrawn."""

import pytest
from embedded import get, guard, stream_says, well
from support import sampled

from ops_core.clock import SystemClock
from ops_core.drill.catalogue.deployed import DEPLOYED
from ops_core.drill.catalogue.running import RUNNING
from ops_core.drill.fault import RESTART, ROLLBACK_CONFIG, ROLLBACK_RELEASE
from ops_core.drill.faults import FAULTS
from ops_core.drill.stack import EmbeddedStack
from ops_core.drill.work_dir import GOOD_CONFIG, GOOD_RELEASE, swap_link

CLOCK = SystemClock()


def by_hand(stack, fault):
    """What a person does for that remediation."""
    if fault.remediation == ROLLBACK_RELEASE:
        swap_link(stack.layout.release_link(fault.service), GOOD_RELEASE)
    elif fault.remediation == ROLLBACK_CONFIG:
        swap_link(stack.layout.config_link(fault.service), GOOD_CONFIG)
    else:
        assert fault.remediation == RESTART
    stack.restart(fault.service)


def took(action):
    """Seconds that something took."""
    begun = CLOCK.monotonic()
    action()
    return CLOCK.monotonic() - begun


SYMPTOMS = {
    "killed": lambda s: get(s, "/api/health") is None and s.process("core").state == "EXITED",
    "frozen": lambda s: s.system_state("core") == "T" and s.process("core").state == "RUNNING",
    "answering-5xx": lambda s: get(s, "/api/health") == 500 and guard(s) == (503, 503, 503),
    "stream-silent": lambda s: get(s, "/api/health") == 200 and stream_says(s) == b"",
    "slow": lambda s: took(lambda: get(s, "/api/health")) > 1.0 and guard(s) == (401, 401, 200),
    "soul-killed": lambda s: get(s, "/health", service="soul") is None and get(s, "/api/health") == 200,
    "dashboard-5xx": lambda s: get(s, "/", service="dashboard") == 500 and get(s, "/api/health") == 200,
    "incurable": lambda s: get(s, "/api/health") == 503 and guard(s) == (401, 401, 200),
    "secret-missing": lambda s: get(s, "/api/health") == 200 and guard(s) == (200, 200, 200),
    "wrong-secret": lambda s: get(s, "/api/health") == 200 and guard(s) == (401, 401, 401),
    "bad-release": lambda s: get(s, "/api/health") == 500 and guard(s) == (401, 401, 200),
    "release-missing": lambda s: get(s, "/api/health") == 200 and not s.layout.release_link("core").exists(),
    "config-missing": lambda s: get(s, "/api/health") == 200 and not s.layout.config_link("core").exists(),
    "crashing-release": lambda s: get(s, "/api/health") is None and s.process("core").state == "EXITED",
    "crashing-config": lambda s: get(s, "/api/health") is None and s.process("core").state == "EXITED",
    "bad-config": lambda s: get(s, "/api/health") == 503 and guard(s) == (401, 401, 200),
    "unguarded-release": lambda s: get(s, "/api/health") == 200 and guard(s) == (200, 401, 200),
    "header-renamed": lambda s: get(s, "/api/health") == 200 and guard(s) == (401, 401, 401),
    "silent-release": lambda s: get(s, "/api/health") == 200 and stream_says(s) == b"",
    "stream-refused": lambda s: get(s, "/api/health") == 200 and stream_says(s) is None,
    "slow-release": lambda s: took(lambda: get(s, "/api/health")) > 1.0 and guard(s) == (401, 401, 200),
    "secret-missing-half-undone": lambda s: guard(s) == (200, 200, 200) and s.layout.versions_good("core"),
    "wrong-secret-half-undone": lambda s: guard(s) == (401, 401, 401) and s.layout.versions_good("core"),
    "frozen-after-release": lambda s: s.system_state("core") == "T" and s.layout.in_force("core")[0] == "v2",
    "frozen-after-config": lambda s: s.system_state("core") == "T" and s.layout.in_force("core")[1] == "2.env",
    "good-release-lost": lambda s: get(s, "/api/health") == 200 and not s.layout.release_link("core").exists(),
}
EVERY_FAULT = pytest.mark.parametrize("fault", sampled((*RUNNING, *DEPLOYED), 0.6), ids=lambda f: f.name)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """One stack to break and to heal."""
    with EmbeddedStack(tmp_path_factory.mktemp("embedded") / "w") as running:
        yield running


@EVERY_FAULT
def test_a_fault_is_real_and_its_remedy_heals_it(stack, fault):
    """Each fault has the effect it is named for, and goes by the remediation in the catalogue, done by hand."""
    fault.inject(stack)
    try:
        assert fault.in_force(stack)
        assert SYMPTOMS[fault.name](stack)
        by_hand(stack, fault)
        assert fault.in_force(stack) == (fault.heals_by is None)
        assert well(stack) == (fault.heals_by is not None)
    finally:
        fault.withdraw(stack)


@EVERY_FAULT
def test_a_fault_can_be_withdrawn_and_put_in_again(stack, fault):
    """Withdrawing heals without any remedy, any number of times; each fault was injected before, and is again."""
    fault.inject(stack)
    assert fault.in_force(stack)
    fault.withdraw(stack)
    fault.withdraw(stack)
    assert well(stack)
    assert stack.layout.versions_good(fault.service)


def test_one_fault_replaces_another(stack):
    """Injecting starts from a good service, whatever was done to it before."""
    for name in ("frozen", "killed", "bad-release", "secret-missing", "answering-5xx", "stream-silent", "frozen"):
        FAULTS[name].inject(stack)
        assert SYMPTOMS[name](stack)
    FAULTS["frozen"].withdraw(stack)
    assert well(stack)
