# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of the driver, some against Cinder's own LVM driver."""
