# SPDX-License-Identifier: Apache-2.0
"""Answers to faults of cinder-volume, one object each.

A class names the methods of ``cinder.volume.manager.VolumeManager`` whose
order of calls it answers; Cinder 26 to 29 behave alike. What the objects
remember may be lost at a restart.
"""

from collections.abc import Iterable
import dataclasses
import threading

from cinder.image import image_utils
from cinder import privsep
from cinder import utils

from cinder_lvm_driver.privileged import ownership
from cinder_lvm_driver.privileged import verbs


class KeptExport:
    """The volume whose export must survive the next ``remove_export``.

    ``initialize_connection`` and ``_connection_create`` remove the export
    of a volume when the driver cannot connect one more host, although other
    hosts have the volume attached. They do so next, in the same thread;
    what they do for other hosts meanwhile, they do in other threads.
    """

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def keep(self, volume_id: str) -> None:
        """Keep a volume's export when it is removed next."""
        self._of_thread.volume_id = volume_id

    def forget(self) -> None:
        """Keep no export."""
        self._of_thread.volume_id = None

    def pop(self, volume_id: str) -> bool:
        """Tell whether to keep a volume's export, and forget it."""
        is_kept = getattr(self._of_thread, 'volume_id', None) == volume_id
        self.forget()
        return is_kept


class BusySnapshots:
    """Snapshots that could not be deleted because they are in use.

    In a cascaded delete, ``delete_volume`` calls ``delete_snapshot``, which
    hides that a snapshot is busy, and then deletes the volume. Cinder would
    forget both, and the LV of the snapshot would have no owner.
    """

    def __init__(self) -> None:
        # LV name of the snapshot -> LV name of its volume.
        self._origins: dict[str, str] = {}

    def add(self, snapshot_lv: str, volume_lv: str) -> None:
        """Remember a snapshot that could not be deleted."""
        self._origins[snapshot_lv] = volume_lv

    def discard(self, snapshot_lv: str) -> None:
        """Forget a snapshot, which is deleted."""
        self._origins.pop(snapshot_lv, None)

    def pop_all(self, volume_lv: str) -> list[str]:
        """Return the LV names of a volume's busy snapshots, and forget them.

        A second delete of the volume may succeed: the snapshot may no longer
        be Cinder's.
        """
        busy = [name for name, origin in list(self._origins.items())
                if origin == volume_lv]
        for name in busy:
            self.discard(name)
        return busy


class ServedAtStart:
    """Volumes that were served in one pass when the service started.

    ``_init_host`` passes all volumes to ``update_provider_info`` (in
    batches, if configured) and then calls ``ensure_export`` for each volume
    that is in use, which would ask LVM once for each.
    """

    def __init__(self) -> None:
        self._volume_ids: set[str] = set()

    def replace(self, volume_ids: Iterable[str]) -> int:
        """Remember the volumes of one pass only; return their number."""
        self._volume_ids = set(volume_ids)
        return len(self._volume_ids)

    def pop(self, volume_id: str) -> bool:
        """Tell whether a volume was served, and forget it."""
        was_served = volume_id in self._volume_ids
        self._volume_ids.discard(volume_id)
        return was_served


@dataclasses.dataclass(frozen=True, slots=True)
class Workarounds:
    """The memory of one back end."""

    kept_export: KeptExport = dataclasses.field(default_factory=KeptExport)
    busy_snapshots: BusySnapshots = dataclasses.field(
        default_factory=BusySnapshots)
    served_at_start: ServedAtStart = dataclasses.field(
        default_factory=ServedAtStart)


def run_privileged_code_as_cinder_does() -> None:
    """Run privileged code in this process if Cinder's own runs there.

    As root, cinderlib tells Cinder and os-brick to do so
    (``Backend._set_priv_helper``). Its ``cmd.cinder_to_yaml``, which its own
    functional tests use, imports ``cinder.cmd.volume``. That replaces threads
    with eventlet's after oslo.privsep has chosen how to read the output of a
    daemon's helper (``daemon.fdopen``): the reader then blocks the whole
    process, so that no privsep daemon ever starts.
    """
    if not privsep.sys_admin_pctxt.client_mode:
        verbs.context.set_client_mode(False)
        ownership.serve_root()


def read_images_in_calling_thread() -> None:
    """Have Cinder's ``image_utils`` do its work in the calling thread.

    It passes files to ``eventlet.tpool``, in Cinder 29 also where
    cinder-volume runs native threads. Without eventlet's loop only the first
    thread that asks gets its answers; all others wait for ever. With a pool
    of no threads, tpool calls what it is passed at once
    (``EVENTLET_THREADPOOL_SIZE`` in eventlet's documentation).
    """
    # Cinder 26 to 28 have no native threads.
    runs_threads = getattr(utils, 'concurrency_mode_threading', None)
    tpool = getattr(image_utils, 'tpool', None)
    if tpool and runs_threads and runs_threads():
        tpool.set_num_threads(0)
