# SPDX-License-Identifier: Apache-2.0
"""The test machine behind ``tools/testvm``.

``main``       the program, from the command line to the exit status
``options``    the command line
``cache``      the cache folder: its lock, atomic writes, clean-up
``kernel``     Debian's kernel, downloaded and unpacked but not installed
``initramfs``  the initial root: busybox, kernel modules, ``guest/stage1``
``cpio``       the archive format of the initramfs
``accel``      tests whether KVM works
``machine``    the command lines of QEMU and virtiofsd
``job``        one run of the machine
``stream``     decodes what the guest sends: stages, output, exit status
``pump``       moves data between the sockets and standard output
``processes``  child processes that end with testvm
"""
