# SPDX-License-Identifier: Apache-2.0
"""Unit tests of cinder_lvm_driver.cmd."""
