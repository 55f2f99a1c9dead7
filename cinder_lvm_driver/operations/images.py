# SPDX-License-Identifier: Apache-2.0
"""Images: volumes are filled with them, and uploaded as images."""

import contextlib
from typing import Any

from cinder import context as cinder_context
from cinder.image import image_utils
from cinder import objects
from cinder.volume import throttling
from cinder.volume import volume_utils

from cinder_lvm_driver import backend as backends
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver.privileged import lending

# Formats that can be written without their holes. Cinder converts images of
# all others, which may be compressed, chained or made of several files.
_PLAIN_FORMATS = ('raw', 'qcow2')
_PLAIN_CONTAINER = 'bare'
# qemu-img convert --target-is-zero (QEMU 5.0) and -r (5.2)
_QEMU_IMG_NEEDED = [5, 2]


def download(backend: backends.Backend,
             context: cinder_context.RequestContext, volume: objects.Volume,
             image_service: Any, image_id: str, disable_sparse: bool) -> None:
    """Write an image to a volume's LV.

    A fresh thin LV gets only what is not zero, so that the holes of the
    image take no blocks of the pool.
    """
    lv = _bring_up(backend, volume)
    device = _path(backend, volume)
    with lending.lent(device):
        if not disable_sparse and _reads_as_zeroes(backend, lv):
            image = image_service.show(context, image_id)
            if _is_plain(image) and _has_qemu_img():
                _write_sparse(backend, context, volume.size, image_service,
                              image, device)
                return
        image_utils.fetch_to_raw(
            context, image_service, image_id, device,
            backend.settings.dd_blocksize, size=volume.size,
            run_as_root=_needs_root(), disable_sparse=disable_sparse)


def upload(backend: backends.Backend, context: cinder_context.RequestContext,
           volume: objects.Volume, image_service: Any,
           image_meta: dict[str, Any]) -> None:
    """Upload a volume's LV as an image."""
    _bring_up(backend, volume)
    device = _path(backend, volume)
    with lending.lent(device):
        volume_utils.upload_volume(context, image_service, image_meta, device,
                                   volume, run_as_root=_needs_root())


def _needs_root() -> bool:
    """Tell whether Cinder's own functions need root for a lent device.

    They limit the bandwidth with cgexec(1), which only root can run.
    """
    return type(throttling.Throttle.get_default()) is not throttling.Throttle


def _path(backend: backends.Backend, volume: objects.Volume) -> str:
    return naming.device_mapper_path(backend.settings.volume_group,
                                     volume.name)


def _bring_up(backend: backends.Backend,
              volume: objects.Volume) -> lvm.LogicalVolume:
    """Return a volume's LV, with its device present and answering.

    Without the device, a program that writes to its path would create a file
    in /dev and fill the memory of this node.

    :raises lvm.LVMError: the LV cannot be used
    """
    return backend.vg.bring_up(volume.name)


def _reads_as_zeroes(backend: backends.Backend,
                     lv: lvm.LogicalVolume) -> bool:
    """Tell whether nothing was ever written to an LV."""
    return (backend.layout.reads_zeroes and lv.is_thin
            and not lv.origin and lv.data_percent == 0)


def _is_plain(image: dict[str, Any]) -> bool:
    return (image.get('container_format') == _PLAIN_CONTAINER
            and image.get('disk_format') in _PLAIN_FORMATS)


def _has_qemu_img() -> bool:
    try:
        version = image_utils.get_qemu_img_version()
    except OSError:
        return False
    return bool(version is not None and version >= _QEMU_IMG_NEEDED)


def _write_sparse(backend: backends.Backend,
                  context: cinder_context.RequestContext, size_gib: int,
                  image_service: Any, image: dict[str, Any],
                  device: str) -> None:
    """Write what is not zero of an image to an LV that is all zeroes.

    The checks are those of Cinder's ``image_utils.fetch_to_raw``.

    :raises exception.ImageUnacceptable: the image is not what it claims to
        be, refers to other files, or does not fit
    """
    image_id = image['id']
    disk_format = image['disk_format']
    image_utils.check_image_conversion_disable(disk_format, 'raw', image_id)
    images = image_utils.TemporaryImages.for_image_service(image_service)
    with contextlib.ExitStack() as cleanup:
        path = images.get(context, image_id) or cleanup.enter_context(
            images.fetch(image_service, context, image_id))
        # Unlike the LVs that Cinder inspects, the file belongs to this user.
        found = image_utils.qemu_img_info(path, run_as_root=False)
        image_utils.check_virtual_size(found.virtual_size, size_gib,
                                       image_id)
        image_utils.check_image_format(path, disk_format, image_id, found)
        backend.writer.write_image(path, disk_format, device)
