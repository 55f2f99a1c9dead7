# SPDX-License-Identifier: Apache-2.0
"""The parts of ``tools/demo``: a small real cloud and its user.

On the machine that runs ``tools/demo``:

``options``    the command line
``launch``     prepares, boots the test machine, prints the closing table
``kept``       the folders of results, and clouds left running by --keep

In the test machine:

``guest``      runs all steps: storage, cloud, user, clean-up (root)
``settings``   what the cloud consists of, and its cinder.conf
``cloud``      Cinder in one process (user cinder)
``bus``        the message bus of that process, in memory
``images``     a small image service
``leftovers``  what remains after everything was deleted

The user's steps and their records are in ``cloud_lib``.
"""
