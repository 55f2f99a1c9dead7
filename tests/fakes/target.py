# SPDX-License-Identifier: Apache-2.0
"""A target helper that only notes what it is asked for."""

from cinder_lvm_driver.targets import base


class RecordingTarget(base.Target):
    """Serves nothing.

    :ivar calls: the verbs that were called, with their arguments but for
        the context
    :ivar failures: exceptions to raise, by verb; those of ``ensure_exports``
        are a mapping by volume id
    :ivar unused: ids of volumes that are served to no host
    """

    storage_protocol = 'iSCSI'

    def __init__(self, configuration, runner):
        super().__init__(configuration, runner)
        self.calls = []
        self.failures = {}
        self.unused = set()

    def _note(self, verb, *arguments):
        self.calls.append((verb, *arguments))
        if verb in self.failures:
            raise self.failures[verb]

    def check_for_setup_error(self):
        self._note('check_for_setup_error')

    def create_export(self, context, volume, volume_path, *,
                      read_only=False):
        self._note('create_export', volume.id, volume_path,
                   *['read-only'] * read_only)
        return {'location': f'portal,1 iqn:{volume.name} 0',
                'auth': 'CHAP name secret'}

    def ensure_exports(self, context, volumes):
        volumes = list(volumes)
        self.calls.append(('ensure_exports', *(
            (volume.id, path) for volume, path in volumes)))
        return {volume.id: self.failures['ensure_exports'][volume.id]
                for volume, _ in volumes
                if volume.id in self.failures.get('ensure_exports', {})}

    def find_unused(self, volumes):
        if 'find_unused' in self.failures:
            raise self.failures['find_unused']
        return self.unused & {volume.id for volume in volumes}

    def remove_export(self, context, volume, volume_path=None):
        self._note('remove_export', volume.id,
                   *[volume_path] * bool(volume_path))

    def initialize_connection(self, volume, connector):
        self._note('initialize_connection', volume.id, connector)
        return {'driver_volume_type': 'iscsi', 'data': {}}

    def terminate_connection(self, volume, connector, **kwargs):
        self._note('terminate_connection', volume.id, connector)

    def validate_connector(self, connector):
        self._note('validate_connector', connector)
        return True

    def are_same_connector(self, one, other):
        return one['initiator'] == other['initiator']

    def extend_target(self, volume):
        self._note('extend_target', volume.id)
