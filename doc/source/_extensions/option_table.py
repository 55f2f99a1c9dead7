# SPDX-License-Identifier: Apache-2.0
"""The directive ``option-table``: a back end's options, from the code.

Its argument is ``own`` for the options of this driver only, ``shared`` for
those that Cinder's in-tree driver has, too, or ``cinder`` for options of
Cinder that this driver reads or that change what it does.

The directive of oslo.config finds options through the entry points of
installed packages, but the manual is built from a checkout. Units, examples
and remarks are below, because oslo.config has no place for them.
"""

import importlib
import itertools

from docutils import nodes
from docutils import statemachine
from sphinx.util import docutils

# Options of Cinder itself, and where Cinder defines them.
_MODULES = ('cinder.common.config', 'cinder.db.api', 'cinder.volume.driver',
            'cinder.volume.manager')
_CINDER = (
    'backend_stats_polling_interval', 'backup_use_temp_snapshot',
    'image_upload_use_cinder_backend', 'init_host_max_objects_retrieval',
    'nvmeof_conn_info_version', 'reinit_driver_count',
    'snapshot_name_template', 'state_path', 'volume_backend_name',
    'volume_copy_bps_limit', 'volume_name_template',
)
_UNITS = {
    'backend_stats_polling_interval': 'seconds',
    'lvm_group_snapshot_limit': 'milliseconds',
    'lvm_mirrors': 'copies in addition to the first one',
    'lvm_report_timeout': 'seconds',
    'lvm_stripes': 'PVs',
    'lvm_thin_pool_autoextend_percent': 'percent of the size of the pool',
    'lvm_thin_pool_autoextend_threshold': 'percent',
    'lvm_thin_pool_reserve_percent': 'percent of the data and the metadata',
    'lvm_wipe_rate': 'MiB per second',
    'reserved_percentage': 'percent of the capacity',
    'volume_clear_size': 'MiB',
    'volume_copy_bps_limit': 'bytes per second',
    'volume_dd_blocksize': 'bytes, or with the suffix K, M or G',
}
_EXAMPLES = {
    'backend_stats_polling_interval': '20',
    'backup_use_temp_snapshot': 'true',
    'image_upload_use_cinder_backend': 'true',
    'iscsi_target_flags': 'direct',
    'iscsi_write_cache': 'off',
    'lvm_conf_file': '/etc/cinder/lvm.conf',
    'lvm_group_snapshot_limit': '500',
    'lvm_local_attach': 'true',
    'lvm_mirrors': '1',
    'lvm_nvme_key_file': '/etc/cinder/nvme-keys.json',
    'lvm_nvme_require_keys': 'true',
    'lvm_pool': 'name:fast,volume_group:nvme,lvm_type:thin',
    'lvm_report_timeout': '60',
    'lvm_share_target': 'true',
    'lvm_stripes': '4',
    'lvm_thin_pool_autoextend_percent': '10',
    'lvm_thin_pool_autoextend_threshold': '80',
    'lvm_thin_pool_overcommit': 'false',
    'lvm_thin_pool_reserve_percent': '10',
    'lvm_type': 'thin',
    'lvm_wipe_rate': '200',
    'max_over_subscription_ratio': '2.5',
    'nvmeof_conn_info_version': '2',
    'nvmet_port_id': '10',
    'reserved_percentage': '5',
    'snapshot_name_template': 'snapshot-%s',
    'state_path': '/var/lib/cinder',
    'target_helper': 'lioadm',
    'target_ip_address': '192.0.2.10',
    'target_port': '4420',
    'target_prefix': 'iqn.2010-10.org.openstack:',
    'target_protocol': 'nvmet_tcp',
    'target_secondary_ip_addresses': '198.51.100.10, 2001:db8::10',
    'volume_backend_name': 'thin',
    'volume_clear': 'zero',
    'volume_clear_ionice': '-c3',
    'volume_clear_size': '100',
    'volume_copy_bps_limit': '104857600',
    'volume_dd_blocksize': '4M',
    'volume_group': 'cinder-volumes',
    'volume_name_template': 'volume-%s',
    'volumes_dir': '/var/lib/cinder/volumes',
}
_REMARKS = {
    'init_host_max_objects_retrieval':
        'Leave this at 0 with ``target_helper = nvmet``, see '
        ':doc:`../admin/limitations`.',
    'lvm_conf_file':
        'The driver reads LVM\'s configuration from the directory of this '
        'file, as the in-tree driver does. If the file does not exist, it '
        'reads ``/etc/lvm``.',
    'lvm_local_attach': 'See :doc:`../admin/local-attach`.',
    'lvm_pool': 'See :doc:`../admin/pools`.',
    'lvm_stripes': 'See :doc:`../admin/pools`.',
    'lvm_mirrors':
        'With this driver, a volume needs ``lvm_mirrors`` + 1 physical '
        'volumes with free space. The text above counts one more for the '
        'log of LVM\'s older type ``mirror``, which this driver does not '
        'create. See :doc:`../admin/mirrors`.',
    'lvm_share_target': 'See :doc:`../admin/nvmeof`.',
    'lvm_suppress_fd_warnings':
        '**Ignored.** The driver suppresses these warnings always.',
    'max_over_subscription_ratio':
        'See :doc:`../admin/capacity`.',
    'nvmeof_conn_info_version':
        'Set it to 2 with more than one address.',
    'reserved_percentage': 'See :doc:`../admin/capacity`.',
    'state_path':
        'The driver keeps the UUIDs of volume groups in the directory '
        '``lvm-driver`` below it. Keep it on a volume of the host if '
        '``cinder-volume`` runs in a container.',
    'volume_clear': 'Any LV is cleared by its own type, whatever '
                    '``lvm_type`` is. See :doc:`../admin/deleting`.',
    'volume_name_template':
        'Do not change it while volumes exist. Which characters it may '
        'have depends on the target helper, see :doc:`../admin/targets`.',
}


def _cinder_options():
    """Return the options of Cinder by name."""
    found = {}
    for name in _MODULES:
        for attribute, options in vars(importlib.import_module(name)).items():
            if attribute.endswith('_opts') and isinstance(options, list):
                found.update((option.dest, option) for option in options)
    return found


def _select(which):
    from cinder_lvm_driver import options
    of_cinder = _cinder_options()
    selections = {
        'own': options.OWN_OPTIONS,
        'shared': [option for option in options.driver_options()
                   if option not in options.OWN_OPTIONS],
        'cinder': [of_cinder[name] for name in _CINDER],
    }
    known = {option.dest for option in itertools.chain(*selections.values())}
    stray = {*_UNITS, *_EXAMPLES, *_REMARKS} - known - of_cinder.keys()
    if stray:
        raise ValueError(f'option_table.py describes options that do not '
                         f'exist: {", ".join(sorted(stray))}')
    return sorted(selections[which], key=lambda option: option.dest)


def _lines(option):
    """Yield the lines of reStructuredText that describe one option."""
    name = option.dest
    default = '' if option.default is None else str(option.default)
    yield f'.. confval:: {name}'
    yield f'   :type: {option.type}'
    yield f'   :default: ``{default}``' if default else '   :default: none'
    yield ''
    # Cinder's texts are plain, and may have characters of markup.
    for line in option.help.splitlines():
        yield '   ' + line.replace('*', '\\*')
    yield ''
    if name in _UNITS:
        yield f'   Unit: {_UNITS[name]}.'
        yield ''
    if name in _REMARKS:
        yield f'   {_REMARKS[name]}'
        yield ''
    if name in _EXAMPLES:
        yield f'   Example: ``{name} = {_EXAMPLES[name]}``'
        yield ''


class OptionTable(docutils.SphinxDirective):
    """Describes every option that the argument selects."""

    required_arguments = 1

    def run(self):
        """Return the nodes that replace the directive."""
        from cinder_lvm_driver import options
        self.env.note_dependency(options.__file__)
        self.env.note_dependency(__file__)
        lines = statemachine.StringList()
        for option in _select(self.arguments[0]):
            for line in _lines(option):
                lines.append(line, options.__file__)
        container = nodes.container()
        self.state.nested_parse(lines, self.content_offset, container)
        return container.children


def setup(app):
    """Register the directive (Sphinx's protocol of extensions)."""
    app.add_directive('option-table', OptionTable)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
