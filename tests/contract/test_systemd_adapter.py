"""A real systemd, controlled by somebody who is not root: with sudo's rules, and not beyond them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from include.services.controller import ServiceOutcome, ServiceState
from include.services.errors import HostForbidsError
from include.services.systemd import SystemdController
from tests.support.debian import NotToBeHadError, this_machine, unpack
from tests.support.supervisord import write_scripts
from tests.support.systemd import USER, USER_WITHOUT_JOURNAL, controller_of, systemd_in_container

pytestmark = pytest.mark.engine

PROGRAMS = {"kafka": "import time; print('on', flush=True); time.sleep(600)", "mysql": "import time; time.sleep(600)"}
_PERMIT = "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n"
_VERBS = ("start", "stop --no-block", "kill --signal=SIGKILL")
_RULES = ", ".join(f"/usr/bin/systemctl {verb} -- kafka.service" for verb in _VERBS)


@dataclass
class Host:
    """By root, and by the user ``pipeline``, who may control ``kafka`` only; once without the journal's group."""

    root: SystemdController
    user: SystemdController
    blind: SystemdController


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    try:
        debian = this_machine()
        unpack(debian, debian.codename, ["sudo"], tmp_path / "sudo")
    except NotToBeHadError as error:
        pytest.skip(f"no sudo to put into a container: {error}")
    etc = {"sudoers": f"pipeline ALL=(root) NOPASSWD: {_RULES}\n", "pam.d/sudo": _PERMIT, "pam.d/other": _PERMIT}
    argv = write_scripts(PROGRAMS, tmp_path)
    with systemd_in_container(argv, tmp_path, etc=etc, usr=tmp_path / "sudo" / "usr") as name:
        yield Host(*(controller_of(name, PROGRAMS, tmp_path, who) for who in ("", USER, USER_WITHOUT_JOURNAL)))


def test_the_rules_are_enough_for_all_verbs_and_for_nothing_else(host: Host) -> None:
    host.root.check(("kafka", "mysql"))
    host.user.check(("kafka",))
    with pytest.raises(HostForbidsError, match="membership in the group systemd-journal"):
        host.blind.check(("kafka",))
    with pytest.raises(HostForbidsError, match=r"without a password for: systemctl start -- mysql\.service"):
        host.user.check(("kafka", "mysql"))

    assert host.user.start("kafka", 10) is ServiceOutcome.STARTED
    assert host.user.status("kafka").state is ServiceState.RUNNING
    assert host.user.tail("kafka", 5) == ("on",)
    assert host.user.stop("kafka", 10) is ServiceOutcome.STOPPED
    assert host.user.status("kafka").stopped_on_request

    with pytest.raises(HostForbidsError, match=r"systemctl start -- mysql\.service"):
        host.user.start("mysql", 10)
    assert host.root.start("mysql", 10) is ServiceOutcome.STARTED
    with pytest.raises(HostForbidsError, match=r"systemctl stop --no-block -- mysql\.service"):
        host.user.stop("mysql", 10)
    assert host.user.status("mysql").state is ServiceState.RUNNING
