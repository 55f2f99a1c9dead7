# SPDX-License-Identifier: Apache-2.0
"""The console script ``cinder-lvm``: one module for each subcommand.

It reads the configuration of cinder-volume, and runs as the same user: what
it can do is what the service can do, and files that it creates are the
service's.
"""
