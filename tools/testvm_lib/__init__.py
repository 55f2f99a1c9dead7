# SPDX-License-Identifier: Apache-2.0
"""The test machine behind ``tools/testvm``.

``options``    the command line
``cache``      the folder that is kept between runs, its lock and its keys
``kernel``     Debian's kernel, fetched and unpacked but never installed
``cpio``       the archive format that the kernel unpacks as its first root
``initramfs``  the first root: busybox, a few modules, ``guest/stage1``
``machine``    the command lines of QEMU and virtiofsd
``accel``      whether this machine's KVM really answers
``stream``     what the guest sends: stages, CMD's output, its exit status
``job``        one run, from the sockets to the exit status
"""
