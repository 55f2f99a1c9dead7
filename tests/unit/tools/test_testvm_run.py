# SPDX-License-Identifier: Apache-2.0
"""tools/testvm: command lines, streams and time limits."""

import os
import pathlib
import signal
import socket
import sys
import threading
from unittest import mock

import fixtures
import testtools

from testvm_lib import errors
from testvm_lib import job
from testvm_lib import kernel
from testvm_lib import machine
from testvm_lib import main
from testvm_lib import options
from testvm_lib import processes
from testvm_lib import pump
from testvm_lib import report
from testvm_lib import stream

TOKEN = 'testvm-0123456789abcdef'
MIB = 1 << 20


class TestMachine(testtools.TestCase):

    DESCRIPTORS = machine.Descriptors(files=7, output=8, console=9)

    def _qemu(self, *argv, accel='tcg', drives=()):
        chosen = options.parse([*argv, '--', 'true'], {})
        return machine.qemu(accel, '/k/image', '/j/initramfs', chosen,
                            drives, self.DESCRIPTORS)

    def _values(self, command, option):
        return [command[number + 1] for number, word in enumerate(command)
                if word == option]

    def test_emulated(self):
        command = self._qemu('--memory', '1024', '--cpus', '3')

        self.assertEqual(['tcg,thread=multi,tb-size=1024'],
                         self._values(command, '-accel'))
        self.assertEqual(['1024M'], self._values(command, '-m'))
        self.assertEqual(['3'], self._values(command, '-smp'))
        self.assertEqual(['/k/image'], self._values(command, '-kernel'))
        self.assertIn('size=1024M', self._values(command, '-object')[0])
        self.assertIn('panic=-1', self._values(command, '-append')[0])
        self.assertIn('-no-reboot', command)

    def test_kvm(self):
        command = self._qemu(accel='kvm')

        self.assertEqual(['kvm'], self._values(command, '-accel'))
        self.assertEqual(['host'], self._values(command, '-cpu'))

    def test_sockets_are_inherited(self):
        self.assertEqual(
            ['socket,id=files,fd=7', 'socket,id=console,fd=9',
             'socket,id=output,fd=8'],
            self._values(self._qemu(), '-chardev'))

    def test_disks(self):
        command = self._qemu(drives=['/a', '/b,c'])

        self.assertEqual(
            ['if=none,id=disk0,format=raw,cache=unsafe,discard=unmap,'
             'file=/a',
             'if=none,id=disk1,format=raw,cache=unsafe,discard=unmap,'
             'file=/b,,c'], self._values(command, '-drive'))
        self.assertIn('virtio-blk-pci,drive=disk1,serial=disk1,'
                      'werror=report', command)

    def test_forwards_listen_on_the_loopback_only(self):
        command = self._qemu('--forward', '8080:80', '--forward', '22:22')

        self.assertEqual(
            ['user,id=network,ipv6=off,hostfwd=tcp:127.0.0.1:8080-'
             '10.0.2.15:80,hostfwd=tcp:127.0.0.1:22-10.0.2.15:22'],
            self._values(command, '-netdev'))

    def test_virtiofsd_of_qemu(self):
        command = machine.virtiofsd('/v', ' -o source=PATH ', 5)

        self.assertEqual(['/v', '--fd=5'], command[:2])
        for word in ('source=/', 'cache=always', 'xattr', 'sandbox=chroot'):
            self.assertIn(word, command)

    def test_virtiofsd_in_rust(self):
        usage = '--shared-dir <DIR> --cache <C> --announce-submounts'
        command = machine.virtiofsd('/v', usage, 5)

        self.assertEqual(
            ['/v', '--fd=5', '--shared-dir=/', '--cache=always', '--xattr',
             '--sandbox=chroot'], command)
        self.assertIn('--no-announce-submounts', machine.virtiofsd(
            '/v', usage + ' --no-announce-submounts', 5))

    def test_other_architectures_are_refused(self):
        with mock.patch.object(machine.platform, 'machine',
                               return_value='aarch64'):
            error = self.assertRaises(errors.PrepareError, machine.check)
        self.assertIn('aarch64', error.sentence)


class TestSignals(testtools.TestCase):

    def _handled(self, ignored):
        """Return the signals with a handler of the program."""
        def before(signum):
            return signal.SIG_IGN if signum in ignored else signal.SIG_DFL

        with mock.patch('signal.getsignal', side_effect=before), \
                mock.patch('signal.signal') as taken, \
                mock.patch.object(main, 'run', return_value=0):
            main.main([])
        return {call.args[0] for call in taken.call_args_list}

    def test_signals(self):
        self.assertEqual(set(main.SIGNALS), self._handled(set()))

    def test_nohup(self):
        self.assertEqual({signal.SIGINT, signal.SIGTERM},
                         self._handled({signal.SIGHUP}))

    def test_child_of_a_parent_that_is_gone(self):
        before_exec = processes.ending_with_us(signal.SIGTERM)
        with mock.patch.object(processes, '_LIBC') as libc, \
                mock.patch('os._exit', side_effect=SystemExit):
            with mock.patch('os.getppid', return_value=os.getpid()):
                before_exec()
            with mock.patch('os.getppid', return_value=1):
                self.assertRaises(SystemExit, before_exec)
        libc.prctl.assert_called_with(1, signal.SIGTERM, 0, 0, 0)


class TestStream(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.stages = []
        self.notes = []
        self.reader = self._new_reader()

    def _new_reader(self):
        return stream.Reader(
            TOKEN, lambda *stage: self.stages.append(stage),
            self.notes.append)

    def _feed(self, data, size):
        """Feed data in pieces and return the output."""
        pieces = [data[start:start + size]
                  for start in range(0, len(data), size)]
        return b''.join(self.reader.feed(piece) for piece in pieces)

    def test_output_is_passed_on_whatever_the_pieces(self):
        output = bytes(range(256)) + TOKEN.encode()[:-1] + b'\r\nno newline'
        data = (f'{TOKEN} stage 2.90 first root\n{TOKEN} run\n'.encode()
                + output + f'{TOKEN} note careful\n'.encode()
                + f'{TOKEN} exit 3\nignored'.encode())
        for size in (1, 7, len(data)):
            self.stages.clear()
            self.notes.clear()
            self.reader = self._new_reader()
            self.assertEqual(output, self._feed(data, size))
            self.assertEqual(3, self.reader.progress.status)
            self.assertTrue(self.reader.progress.ended)
            self.assertEqual([('first root', '2.90')], self.stages)
            self.assertEqual(['careful'], self.notes)
            self.assertEqual(b'', self.reader.rest())

    def test_signals_are_statuses_above_128(self):
        self._feed(f'{TOKEN} run\n{TOKEN} exit 137\n'.encode(), 99)

        self.assertEqual(137, self.reader.progress.status)

    def test_output_is_not_held_back(self):
        self.reader.feed(f'{TOKEN} run\n'.encode())

        self.assertEqual(b'prompt> ', self.reader.feed(b'prompt> '))

    def test_rest_of_a_machine_that_died(self):
        self.reader.feed(f'{TOKEN} run\n'.encode())

        self.assertEqual(b'testvm', self.reader.feed(b'testvm-')
                         + self.reader.rest()[:6])
        self.assertFalse(self.reader.progress.ended)

    def test_failure(self):
        self._feed(f'{TOKEN} fail no module x\n'.encode(), 5)

        self.assertEqual('no module x', self.reader.progress.failure)
        self.assertFalse(self.reader.progress.running)


class TestPump(testtools.TestCase):

    def setUp(self):
        super().setUp()
        read, write = os.pipe()
        self.addCleanup(os.close, write)
        self.output = open(read, 'rb', buffering=0)
        self.addCleanup(self.output.close)
        self.reader = stream.Reader(TOKEN, mock.Mock(), mock.Mock())
        self.console = mock.Mock()
        self.pump = pump.Pump(self.reader, write, self.console)
        self.addCleanup(self.pump.close)

    def test_output_console_and_death(self):
        output = self.pump.watch(pump.OUTPUT)
        console = self.pump.watch(pump.CONSOLE)
        self.addCleanup(console.close)
        output.sendall(f'{TOKEN} run\nhello'.encode())
        console.sendall(b'one\r\n\x1b[31mtwo\n')
        output.close()

        self.pump.step(30)
        self.assertEqual(set(), self.pump.closed)
        self.pump.step(30)
        self.assertEqual({pump.OUTPUT}, self.pump.closed)
        self.pump.drain()
        self.pump.flush()

        self.assertEqual(b'hello', self.output.read(100))
        self.assertEqual(['one', 'two'],
                         self.pump.tails[pump.CONSOLE].lines())
        self.console.assert_called_once_with(b'one\r\n\x1b[31mtwo\n')

    def test_slow_reader_makes_the_guest_wait(self):
        output = self.pump.watch(pump.OUTPUT)
        self.addCleanup(output.close)
        output.setblocking(False)
        output.sendall(f'{TOKEN} run\n'.encode())
        sent = 0
        for _ in range(10000):
            try:
                sent += output.send(bytes(1 << 16))
            except BlockingIOError:
                self.pump.step(0)
                if len(self.pump._pending) >= pump.PENDING:
                    break
        self.assertLess(sent, 4 * MIB)
        total = 0
        output.close()
        reading = threading.Thread(target=self.pump.drain)
        reading.start()
        reading.join()
        flushing = threading.Thread(target=self.pump.flush)
        flushing.start()
        while total < sent:
            total += len(self.output.read(1 << 16))
        flushing.join()
        self.assertEqual(sent, total)

    def test_diagnosis_shows_the_end_of_what_was_said(self):
        tails = {name: pump.Tail() for name in ('the console', 'QEMU')}
        tails['the console'].add(
            b''.join(b'line %d\r\n' % n for n in range(100)))

        lines = pump.diagnosis(tails).split('\n')

        self.assertEqual('--- the last lines of the console:', lines[0])
        self.assertEqual('line 99', lines[-1])
        self.assertEqual(pump.TAIL_LINES + 1, len(lines))


class TestJob(testtools.TestCase):

    def _job(self, *argv):
        chosen = options.parse([*argv, '--', 'true'], {})
        parts = job.Parts(kernel.Kernel('6.9', '/image', '/kernel'), b'',
                          'tcg', '/job')
        reporter = report.Reporter()
        # The test runner may replace standard output by an object.
        with mock.patch.object(job.sys, 'stdout', sys.__stdout__):
            return job.Job(chosen, parts, reporter)

    def test_settings(self):
        chosen = options.Options(command=('x',), shares=('/a', '/b'),
                                 disks=(options.Disk(None, '/disk'),))
        found = job.settings(chosen, TOKEN, '/modules', '/here')

        self.assertEqual((TOKEN,), found['TOKEN'])
        self.assertEqual(('/a', '/b'), found['SHARES'])
        self.assertEqual(('1',), found['KEEP'])
        self.assertIn('dm-thin-pool', found['REQUIRED'])

    def test_environment_can_be_overridden(self):
        chosen = options.Options(command=('x',), environment=(
            ('HOME', '/h'), ('NEW', 'n')))
        found = dict(job.environment(chosen))

        self.assertEqual(('/h', 'n', 'C.UTF-8'),
                         (found['HOME'], found['NEW'], found['LANG']))

    def test_disks_are_sparse_and_kept_ones_are_not_touched(self):
        folder = self.useFixture(fixtures.TempDir()).path
        kept = os.path.join(folder, 'kept')
        pathlib.Path(kept).write_bytes(b'x' * 512)
        chosen = options.Options(command=('x',), disks=(
            options.Disk(1 << 30), options.Disk(None, kept),
            options.Disk(MIB, kept)))

        paths = job.make_disks(chosen, folder)

        self.assertEqual([os.path.join(folder, 'disk0'), kept, kept], paths)
        self.assertEqual(1 << 30, os.stat(paths[0]).st_size)
        self.assertEqual(0, os.stat(paths[0]).st_blocks)
        self.assertEqual(b'x' * 512, pathlib.Path(kept).read_bytes())

    def test_death_while_booting(self):
        one = self._job()
        one._reader.feed(f'{one._token} stage 3.1 udev\n'.encode())

        # virtiofsd ends with QEMU.
        one._pump.closed = {pump.OUTPUT, pump.VIRTIOFSD, pump.CONSOLE}
        error = self.assertRaises(errors.MachineError, one._check)
        self.assertEqual('the machine died while booting (it was at: udev)',
                         error.sentence)
        self.assertEqual(125, error.status)

    def test_death_of_the_kernel(self):
        one = self._job()
        one._pump.closed = {pump.OUTPUT}
        error = self.assertRaises(errors.KernelDied, one._check)
        self.assertEqual(
            'the machine died while booting (it was at: the kernel)',
            error.sentence)

    def test_kernel_that_died_is_started_once_more(self):
        reporter = mock.Mock()
        died = errors.KernelDied('it died')
        for outcomes, expected in (([died, 7], 7), ([3], 3),
                                   ([died, died], None)):
            one = mock.MagicMock()
            one.__enter__.return_value.run.side_effect = outcomes
            one.__exit__.return_value = False
            with mock.patch.object(main.job, 'Job', return_value=one):
                if expected is None:
                    self.assertRaises(errors.KernelDied, main.boot, None,
                                      None, reporter)
                else:
                    self.assertEqual(expected,
                                     main.boot(None, None, reporter))

    def test_death_while_running(self):
        one = self._job()
        one._reader.feed(f'{one._token} run\n'.encode())

        one._pump.closed = {pump.VIRTIOFSD}
        error = self.assertRaises(errors.MachineError, one._check)
        self.assertEqual('virtiofsd ended while the command ran',
                         error.sentence)

    def test_death_tells_what_became_of_qemu(self):
        for status, words in ((-9, '; QEMU was killed by SIGKILL'),
                              (1, '; QEMU exited with status 1')):
            one = self._job()
            one._processes.append(mock.Mock())
            one._processes[0].wait.return_value = status
            one._pump.closed = {pump.QEMU}

            error = self.assertRaises(errors.MachineError, one._check)
            self.assertTrue(error.sentence.endswith(words), error.sentence)

    def test_closed_console_is_no_death(self):
        one = self._job()
        one._pump.closed = {pump.CONSOLE}

        one._check()

    def test_death_after_the_end_is_none(self):
        one = self._job()
        one._reader.feed(f'{one._token} run\n{one._token} exit 0\n'.encode())

        one._pump.closed = {pump.OUTPUT}
        one._check()

    def test_failure_names_the_module(self):
        one = self._job()
        one._reader.feed(f'{one._token} fail no module dm-x\n'.encode())

        error = self.assertRaises(errors.MachineError, one._check)
        self.assertEqual('no module dm-x', error.sentence)

    def test_taken_port_is_named(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            port = taken.getsockname()[1]
            error = self.assertRaises(
                errors.UsageError, job.check_forwards,
                options.Options(command=('x',), forwards=(
                    options.Forward(port, 80),)))
        self.assertIn(f'--forward: port {port} ', error.sentence)

    def _at(self, one, seconds):
        with mock.patch.object(job.time, 'monotonic',
                               return_value=one._started + seconds):
            return one._remaining()

    def test_limits(self):
        one = self._job('--timeout', '1000')

        self.assertEqual(job.BOOT_SECONDS - 10, self._at(one, 10))
        error = self.assertRaises(errors.MachineError, self._at, one,
                                  job.BOOT_SECONDS)
        self.assertIn('did not boot', error.sentence)
        one._reader.feed(f'{one._token} run\n'.encode())
        self.assertEqual(990, self._at(one, 10))
        error = self.assertRaises(errors.MachineTimeout, self._at, one, 1000)
        self.assertIn('--timeout', error.sentence)
        self.assertEqual(124, error.status)

    def test_time_limit_while_booting(self):
        one = self._job('--timeout', '5')

        error = self.assertRaises(errors.MachineTimeout, self._at, one, 5)
        self.assertIn('still booting', error.sentence)
