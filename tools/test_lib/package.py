# SPDX-License-Identifier: Apache-2.0
"""The stage of the tests that builds the packages and looks into them."""

import pathlib
import re
import shutil
import sys
import tarfile
import tempfile
import zipfile

import check_tree
from test_lib import report

NAME = 'cinder_lvm_driver'
WHEEL = '-py3-none-any.whl'
# What the wheel has of the tree.
IN_WHEEL = ('cinder_lvm_driver/', 'deployments/', 'etc/cinder/',
            'etc/grafana/', 'etc/prometheus/')
# The tag of the release that the stage pretends to make.
VERSION = '9.8.7'
# As cinder-volume does: register the objects, then import the driver.
IMPORT_ALL = """
import importlib, sys
from cinder import objects
objects.register_all()
for name in sys.argv[2:]:
    module = importlib.import_module(name)
    assert module.__file__.startswith(sys.argv[1]), module.__file__
"""


def run(_regex: str | None) -> report.Outcome:
    """Build the packages, compare them with the tree, and install them."""
    outcome = report.Outcome()
    files = set(map(str, check_tree.tree_files()))
    in_wheel = {re.sub('^(?:etc/)?(deployments|grafana|prometheus)/',
                       'share/cinder-lvm-driver/\\1/', name)
                for name in files if name.startswith(IN_WHEEL)}
    with tempfile.TemporaryDirectory(prefix='package-') as name:
        folder = pathlib.Path(name)
        _check_systemd(outcome, folder)
        tree = folder / 'tree'
        _copy_tree(tree)
        if _build_without_git(outcome, tree, folder):
            _check_wheel(outcome, folder / f'{NAME}-0.0.0{WHEEL}', in_wheel)
        if _build_release(outcome, tree, folder):
            source = folder / f'{NAME}-{VERSION}.tar.gz'
            wheel = folder / f'{NAME}-{VERSION}{WHEEL}'
            # pbr leaves out .gitignore.
            _check_source(outcome, source,
                          {*files, 'CHANGES.rst'} - {'.gitignore'})
            _check_wheel(outcome, wheel, in_wheel)
            _install_wheel(outcome, wheel, folder)
            _build_debian_package(outcome, source, folder)
    _check_alerts(outcome)
    return outcome


# --- building ---------------------------------------------------------------

def _copy_tree(target: pathlib.Path) -> None:
    """Copy the files of the tree without the .git folder."""
    for path in check_tree.tree_files():
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy, follow_symlinks=False)


def _build_without_git(outcome: report.Outcome, tree: pathlib.Path,
                       target: pathlib.Path) -> bool:
    return report.run_checked(
        outcome, 'package: build a wheel without git',
        [sys.executable, '-m', 'build', '--wheel', '--no-isolation',
         '--outdir', str(target), '.'],
        cwd=tree, extra={'PBR_VERSION': '0.0.0'})


def _build_release(outcome: report.Outcome, tree: pathlib.Path,
                   target: pathlib.Path) -> bool:
    """Build what a release has, from a repository with a tag."""
    git = ['git', '-c', 'user.name=nobody', '-c',
           'user.email=nobody@localhost', '-c', 'commit.gpgsign=false', '-c',
           'tag.gpgsign=false']
    return all(report.run_checked(outcome, title, argv, cwd=tree)
               for title, argv in (
        ('package: git init', ['git', 'init', '--quiet']),
        ('package: git add', ['git', 'add', '--all']),
        ('package: git commit', [*git, 'commit', '--quiet', '--message', '-']),
        ('package: git tag', [*git, 'tag', VERSION]),
        ('package: tools/dist', ['tools/dist', str(target)])))


# --- contents ---------------------------------------------------------------

def _check_source(outcome: report.Outcome, archive: pathlib.Path,
                  wanted: set[str]) -> None:
    """Check that a source archive has everything to build and test from."""
    with tarfile.open(archive) as tar:
        packed = {name.partition('/')[2] for name in tar.getnames()}
    _judge(outcome, archive, [f'missing: {name}' for name in wanted - packed])


def _check_wheel(outcome: report.Outcome, wheel: pathlib.Path,
                 wanted: set[str]) -> None:
    """Check that a wheel has what an installation needs, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {re.sub(r'^[^/]+\.data/data/', '', name)
                  for name in archive.namelist()}
    licences = {name for name in packed if name.endswith('/licenses/LICENSE')}
    _judge(outcome, wheel, [
        *(f'missing: {name}' for name in wanted - packed),
        *(f'not part of the package: {name}' for name in packed - wanted
          if '.dist-info/' not in name),
        *([] if licences else ['missing: LICENSE'])])


def _judge(outcome: report.Outcome, archive: pathlib.Path,
           faults: list[str]) -> None:
    if faults:
        outcome.fail(f'package: contents of {archive.name}',
                     '\n'.join(sorted(faults)))
    else:
        outcome.passed += 1


# --- installing -------------------------------------------------------------

def _install_wheel(outcome: report.Outcome, wheel: pathlib.Path,
                   folder: pathlib.Path) -> None:
    """Install a wheel without an index, as the manual says, and use it."""
    prefix = folder / 'prefix'
    if not report.run_checked(
            outcome, 'package: install the wheel',
            [sys.executable, '-m', 'pip', 'install', '--quiet',
             '--disable-pip-version-check', '--no-deps', '--no-index',
             '--ignore-installed', '--prefix', str(prefix), str(wheel)]):
        return
    site = next(prefix.glob('lib/python3*/site-packages'))
    report.run_checked(
        outcome, 'package: the program that root runs starts',
        [str(prefix / 'bin/cinder-lvm-root'), 'check'],
        extra={'PYTHONPATH': str(site)})
    _import_all(outcome, 'the wheel', site)
    report.run_checked(
        outcome, 'package: oslo-config-generator finds the options',
        ['oslo-config-generator', '--namespace', 'cinder_lvm_driver',
         '--output-file', str(folder / 'sample.conf')],
        cwd=prefix, extra={'PYTHONPATH': str(site)})


def _import_all(outcome: report.Outcome, title: str,
                site: pathlib.Path) -> None:
    """Import every module from a folder of installed modules."""
    modules = sorted(
        '.'.join(path.relative_to(site).with_suffix('').parts)
        for path in site.glob('cinder_lvm_driver/**/*.py'))
    report.run_checked(
        outcome, f'package: import all modules of {title}',
        [sys.executable, '-P', '-W', 'ignore', '-c', IMPORT_ALL, str(site),
         *modules], cwd=site, extra={'PYTHONPATH': str(site)})


# --- Prometheus -------------------------------------------------------------

def _check_alerts(outcome: report.Outcome) -> None:
    """Check the alert rules, and when they fire."""
    report.run_checked(
        outcome, 'package: alert rules',
        ['promtool', 'check', 'rules', 'etc/prometheus/cinder-lvm.rules.yml'])
    report.run_checked(
        outcome, 'package: alerts',
        ['promtool', 'test', 'rules', 'tests/prometheus_rules.yml'])


# --- Debian -----------------------------------------------------------------

def _build_debian_package(outcome: report.Outcome, source: pathlib.Path,
                          folder: pathlib.Path) -> None:
    """Build Debian's package from a source archive, and look into it."""
    if not report.run_checked(
            outcome, 'package: unpack the source archive',
            ['tar', '--extract', '--file', str(source)], cwd=folder):
        return
    tree = folder / f'{NAME}-{VERSION}'
    # Debian's own Python builds it.
    extra = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'PYTHONPATH': ''}
    if not report.run_checked(
            outcome, 'package: build the Debian package',
            ['dpkg-buildpackage', '--build=binary', '--no-sign'],
            cwd=tree, extra=extra):
        return
    changes = next(folder.glob('*.changes'))
    report.run_checked(
        outcome, 'package: lintian',
        ['lintian', '--allow-root', '--fail-on', 'error,warning',
         str(changes)], extra=extra)
    root = folder / 'root'
    report.run_checked(
        outcome, 'package: unpack the Debian package',
        ['dpkg-deb', '--extract', str(next(folder.glob('*.deb'))), str(root)])
    report.run_checked(
        outcome, 'package: the program that root runs is in the search path',
        ['test', '-x', str(root / 'usr/bin/cinder-lvm-root')])
    filters = 'etc/cinder/rootwrap.d/lvm-driver.filters'
    report.run_checked(
        outcome, "package: the filters are beside Cinder's",
        ['cmp', filters, str(root / filters)])
    _import_all(outcome, 'the Debian package',
                root / 'usr/lib/python3/dist-packages')


# --- systemd ----------------------------------------------------------------

def _check_systemd(outcome: report.Outcome, folder: pathlib.Path) -> None:
    """Have systemd read the drop-in file of cinder-volume."""
    unit = folder / 'cinder-volume.service'
    unit.write_text('[Service]\nExecStart=/bin/true\n')
    drop_ins = folder / f'{unit.name}.d'
    drop_ins.mkdir()
    shutil.copy('deployments/systemd/cinder-lvm-driver.conf', drop_ins)
    # Its exit status is 0 also if it ignores a line.
    report.run_checked(
        outcome, 'package: systemd-analyze verify',
        ['bash', '-c', '! systemd-analyze verify --man=no "$0" 2>&1 | grep .',
         str(unit)])
