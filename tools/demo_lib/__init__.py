# SPDX-License-Identifier: Apache-2.0
"""The parts of ``tools/demo``: a small real cloud, and a user who works it.

On the machine that the demo is started on:

``options``    the command line
``launch``     sets up, boots the test machine, prints the closing table
``kept``       the folders of results, and clouds that were left running

In the test machine:

``guest``      conducts: storage, cloud, the user's steps, clean-up (root)
``settings``   what the cloud is made of, and its cinder.conf
``cloud``      Cinder in one process (user cinder)
``bus``        its messages, in memory
``images``     a little image service
``leftovers``  what is still there when all was deleted

What the user does, and how it is written down, is in ``cloud_lib``.
"""
