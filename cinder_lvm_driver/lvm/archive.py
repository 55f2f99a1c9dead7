# SPDX-License-Identifier: Apache-2.0
"""The archive in which LVM keeps the metadata of before each change.

Without space for one more file there, LVM changes nothing.
"""

import os


def is_full(directory: str, file_bytes: int) -> bool:
    """Return whether an archive has no space for a file of a size.

    False if that cannot be told, as for a directory that LVM has yet to
    create in another one that this user cannot search. On a read-only file
    system LVM goes without the archive.
    """
    try:
        if not os.path.exists(directory):
            directory = os.path.dirname(directory)
        status = os.statvfs(directory)
    except OSError:
        return False
    if status.f_flag & os.ST_RDONLY:
        return False
    return (status.f_bfree * status.f_frsize < file_bytes
            or status.f_files > 0 and status.f_ffree == 0)
