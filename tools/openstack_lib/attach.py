# SPDX-License-Identifier: Apache-2.0
"""Users with attached volumes, on the storage node of a whole OpenStack.

Run there as ``python -m openstack_lib.attach FOLDER``. Tempest without nova
attaches nothing: here volumes are attached through the attachments API and
os-brick, over the back end's own protocol, and data is compared: by the user
of the demo, and by one with more wishes. Ends with 0 when everything was as it
should be.
"""

from collections.abc import Sequence
import os
import signal
import sys

from cloud_lib import compute
from cloud_lib import rest
from cloud_lib import scenario
from cloud_lib import steps
from cloud_lib import table
from openstack_lib import access
from openstack_lib import features
from openstack_lib import passwords
from openstack_lib import settings

JOURNAL = '/run/attach.jsonl'


def say(text: str) -> None:
    """Tell the person how far it is."""
    print(f'attach: {text}', flush=True)


def client(wanted: settings.Settings,
           secret: passwords.Passwords) -> rest.Cinder:
    """Return the administrator's client, as it is on the storage node."""
    host = settings.GATEWAY
    token = access.token(wanted.ports, secret, host)
    return rest.Cinder(rest.Api(wanted.ports.cinder, token, host),
                       rest.Api(wanted.ports.glance, token, host))


def make(wanted: settings.Settings, secret: passwords.Passwords
         ) -> tuple[scenario.Scenario, features.Features]:
    """Return the users of the first back end."""
    cinder, host = client(wanted, secret), compute.Host()
    backend = wanted.back_ends()[0]
    return (
        scenario.Scenario(
            cinder, host, backend.group, thin=backend.lvm_type == 'thin',
            # tgtd serves a thin LV as a disk that knows no discard.
            discards=wanted.target_helper != 'tgtadm'),
        features.Features(cinder, host, wanted,
                          bytes.fromhex(secret.volume_key)))


def main(argv: Sequence[str]) -> int:
    """Run the steps and print what became of them."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    places = settings.Places(argv[1])
    with open(places.settings) as file:
        wanted = settings.Settings.from_json(file.read())
    say('importing os-brick ...')
    users = make(wanted, passwords.ensure(places.passwords))
    with open(os.open(JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
              'w') as journal:
        runner = steps.Runner(journal, say)
        for user in users:
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
