# SPDX-License-Identifier: Apache-2.0
"""The steps of users with attached volumes.

``python -m openstack_lib.attach FOLDER`` runs on the storage node. Tempest
without Nova attaches nothing. Here the user of the demo, and a second one
with more features, attach volumes through the attachments API and os-brick
over the protocol of the back end, and compare data. Exits with status 0 if
all steps passed.
"""

from collections.abc import Sequence
import os
import signal
import sys

from cloud_lib import compute
from cloud_lib import programs
from cloud_lib import rest
from cloud_lib import scenario
from cloud_lib import steps
from cloud_lib import table
from openstack_lib import access
from openstack_lib import cloud as clouds
from openstack_lib import features
from openstack_lib import settings

JOURNAL = '/run/attach.jsonl'

say = programs.speaker('attach')


def client(cloud: clouds.Cloud) -> rest.Cinder:
    """Return the client of the administrator on the storage node."""
    ports, address = cloud.settings.ports, settings.GATEWAY
    token = access.token(ports, cloud.passwords, address)
    return rest.Cinder(rest.Api(ports.cinder, token, address),
                       rest.Api(ports.glance, token, address))


def users(cloud: clouds.Cloud) -> tuple[scenario.Scenario, features.Features]:
    """Return the users of the first back end."""
    cinder, host, wanted = client(cloud), compute.Host(), cloud.settings
    backend = wanted.back_ends()[0]
    return (
        scenario.Scenario(
            cinder, host, backend.vg, thin=backend.lvm_type == 'thin',
            # tgtd serves LVs as disks without discard.
            discards=wanted.target_helper != 'tgtadm'),
        features.Features(cinder, host, wanted,
                          bytes.fromhex(cloud.passwords.volume_key)))


def main(argv: Sequence[str]) -> int:
    """Run the steps, print a table, return the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cloud = clouds.Cloud.read(argv[1])
    say('importing os-brick ...')
    with open(os.open(JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
              'w') as journal:
        runner = steps.Runner(journal, say)
        for user in users(cloud):
            failed_before = runner.failed
            clean_up = steps.Step('clean up', user.clean)
            try:
                runner.run(user.steps())
            except KeyboardInterrupt:
                runner.run([clean_up], always=True)
                raise
            if runner.failed and not failed_before:
                runner.run([clean_up], always=True)
    with open(JOURNAL) as lines:
        print(f'\n{table.render(steps.read_journal(lines))}', flush=True)
    return 1 if runner.failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
