# SPDX-License-Identifier: Apache-2.0
"""The driver's verbs for images."""

from collections.abc import Callable
import contextlib
import os
from typing import Any

from cinder import context as cinder_context
from cinder.image import image_utils
from cinder import objects
from cinder import utils
from cinder.volume import volume_utils

from cinder_lvm_driver import devices
from cinder_lvm_driver.layouts import base as layouts
from cinder_lvm_driver import lvm
from cinder_lvm_driver import options
from cinder_lvm_driver import translate

# What is written without its holes. Every other kind of image goes the way
# that Cinder knows: it may be compressed, chained or made of several files.
_PLAIN_FORMATS = ('raw', 'qcow2')
_PLAIN_CONTAINER = 'bare'
# QEMU 5.0: qemu-img convert --target-is-zero
_QEMU_IMG_NEEDED = [5, 0]


class ImageVerbs:
    """Fills volumes with images and makes images of volumes."""

    vg: lvm.LVM
    settings: options.Settings
    _copier: devices.DeviceWriter
    _layout: layouts.Layout
    local_path: Callable[..., str]

    def clone_image(self, context: cinder_context.RequestContext,
                    volume: objects.Volume, image_location: Any,
                    image_meta: dict, image_service: Any) -> \
            tuple[dict | None, bool]:
        """Leave it to Cinder: there is no image here that it does not know.

        Where an image is a volume of this back end (``cinder://``, with that
        scheme in ``allowed_direct_url_schemes``), or in the image-volume
        cache, Cinder calls ``create_cloned_volume`` next.
        """
        return None, False

    def copy_image_to_volume(self, context: cinder_context.RequestContext,
                             volume: objects.Volume, image_service: Any,
                             image_id: str,
                             disable_sparse: bool = False) -> None:
        """Write an image to a volume's LV.

        To a fresh thin LV only what is not zero is written, so that no
        blocks are given out for the holes of the image.

        :param disable_sparse: the LV holds other data; write all of it
        """
        lv = self._bring_up(volume)
        if not disable_sparse and self._reads_as_zeroes(lv):
            image = image_service.show(context, image_id)
            if _is_plain(image) and _has_qemu_img():
                self._write_sparse(context, volume, image_service, image)
                return
        image_utils.fetch_to_raw(
            context, image_service, image_id, self.local_path(volume),
            self.settings.dd_blocksize, size=volume.size,
            disable_sparse=disable_sparse)

    def _reads_as_zeroes(self, lv: lvm.LogicalVolume) -> bool:
        """Tell whether nothing was ever written to an LV."""
        return (self._layout.reads_zeroes and lv.is_thin
                and not lv.origin and lv.data_percent == 0)

    def _write_sparse(self, context: cinder_context.RequestContext,
                      volume: objects.Volume, image_service: Any,
                      image: dict) -> None:
        """Write what is not zero of an image to an LV that is all zeroes.

        The checks are Cinder's, those of ``image_utils.fetch_to_raw``.

        :raises exception.ImageUnacceptable: the image is not what it claims
            to be, refers to other files, or does not fit
        """
        image_id = image['id']
        disk_format = image['disk_format']
        image_utils.check_image_conversion_disable(disk_format, 'raw',
                                                   image_id)
        images = image_utils.TemporaryImages.for_image_service(image_service)
        with contextlib.ExitStack() as cleanup:
            path = images.get(context, image_id) or cleanup.enter_context(
                images.fetch(image_service, context, image_id))
            # The file is ours, unlike the volumes that Cinder asks of.
            found = image_utils.qemu_img_info(path, run_as_root=False)
            image_utils.check_virtual_size(found.virtual_size, volume.size,
                                           image_id)
            image_utils.check_image_format(path, disk_format, image_id,
                                           found)
            with translate.cinder_errors():
                self._copier.write_image(path, disk_format,
                                         self.local_path(volume))

    def copy_volume_to_image(self, context: cinder_context.RequestContext,
                             volume: objects.Volume, image_service: Any,
                             image_meta: dict) -> None:
        """Upload a volume's LV as an image."""
        self._bring_up(volume)
        volume_utils.upload_volume(context, image_service, image_meta,
                                   self.local_path(volume), volume)

    def _bring_up(self, volume: objects.Volume) -> lvm.LogicalVolume:
        """Return a volume's LV, whose device is there and answers.

        What writes to a path that is not would make a file in /dev of it,
        in the memory of this host.

        :raises exception.VolumeBackendAPIException: it is not, or would
            hold the service up for ever
        """
        with translate.cinder_errors():
            lv = self.vg.get_volume(volume.name)
            if not os.path.exists(self.local_path(volume)):
                self.vg.activate_lv(volume.name)
        return lv


def serve_native_threads() -> None:
    """Have Cinder's ``image_utils`` work in the threads that call it.

    It hands files to ``eventlet.tpool``, in Cinder 29 with native threads,
    too. Without eventlet's loop an answer only finds the thread that asked
    first, and every other one waits for ever. With no threads, tpool calls
    what it is handed at once (``EVENTLET_THREADPOOL_SIZE`` in eventlet's
    documentation).
    """
    # Not in every release that is supported.
    threading = getattr(utils, 'concurrency_mode_threading', None)
    tpool = getattr(image_utils, 'tpool', None)
    if tpool and threading and threading():
        tpool.set_num_threads(0)


def _is_plain(image: dict) -> bool:
    return (image.get('container_format') == _PLAIN_CONTAINER
            and image.get('disk_format') in _PLAIN_FORMATS)


def _has_qemu_img() -> bool:
    try:
        version = image_utils.get_qemu_img_version()
    except OSError:
        return False
    return version is not None and version >= _QEMU_IMG_NEEDED
