# SPDX-License-Identifier: Apache-2.0
"""Cinder's own unit tests of its LVM driver, run against this driver.

``table`` says of each of them whether it holds here, ``adapter`` and
``brick`` speak its language, ``run`` runs all of them in a process of their
own, and ``test_lvm_driver`` compares.
"""
