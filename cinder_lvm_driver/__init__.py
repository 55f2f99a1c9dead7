# SPDX-License-Identifier: Apache-2.0
"""A Cinder volume driver for Linux LVM."""
