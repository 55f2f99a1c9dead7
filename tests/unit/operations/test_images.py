# SPDX-License-Identifier: Apache-2.0
"""Images to volumes and back; what Cinder does for it is Cinder's affair."""

import contextlib
from unittest import mock
import uuid

from cinder import exception
from cinder.image import image_utils
from cinder import objects
from cinder.volume.flows.manager import create_volume
from cinder.volume import throttling
from cinder.volume import volume_utils
import ddt

from tests.fakes import backend

IMAGE = {'id': 'image', 'container_format': 'bare', 'disk_format': 'qcow2'}


PATH = '/conversion/image_fetch_1'


class ImageTestCase(backend.BackendTestCase):
    """A back end with a fresh volume of 2 GiB, and an image of 1 GiB."""

    def setUp(self):
        super().setUp()
        self.driver = self.make_driver()
        self.fresh = self.volume(2)
        self.driver.create_volume(self.fresh)
        self.service = mock.Mock(temp_images=None)
        self.service.show.return_value = dict(IMAGE)
        self.machine.as_root.clear()
        self.fetched = self.patch('fetch_to_raw')
        self.version = self.patch('get_qemu_img_version')
        self.version.return_value = [7, 2, 0]
        self.info = self.patch('qemu_img_info').return_value
        self.info.configure_mock(virtual_size=2 ** 30, file_format='qcow2',
                                 format_specific={'data': {}})
        self.download = self.patch('fetch', image_utils.TemporaryImages)
        self.download.side_effect = lambda *_: contextlib.nullcontext(PATH)

    def patch(self, name, owner=image_utils):
        patcher = mock.patch.object(owner, name)
        self.addCleanup(patcher.stop)
        return patcher.start()

    def copy(self, **keywords):
        self.driver.copy_image_to_volume(self.context, self.fresh,
                                         self.service, 'image', **keywords)

    def conversions(self):
        return [argv for argv in self.machine.as_user
                if 'qemu-img' in argv]

    def assert_left_to_cinder(self, disable_sparse=False):
        self.fetched.assert_called_once_with(
            self.context, self.service, 'image',
            self.driver.local_path(self.fresh), '1M', size=2,
            run_as_root=False, disable_sparse=disable_sparse)
        self.assertEqual([], self.conversions())


@ddt.ddt
class TestFreshThinVolume(ImageTestCase):

    @ddt.data('raw', 'qcow2')
    def test_only_what_is_not_zero_is_written(self, disk_format):
        self.service.show.return_value['disk_format'] = disk_format
        self.info.file_format = disk_format
        self.copy()
        self.assertEqual('image', self.lv(self.fresh).content)
        conversion, = self.conversions()
        self.assertEqual(('-f', disk_format, PATH,
                          self.driver.local_path(self.fresh)),
                         conversion[-4:])
        self.fetched.assert_not_called()

    def test_image_that_cinder_has_downloaded_already(self):
        images = image_utils.TemporaryImages(self.service)
        images.temporary_images[self.context.user_id] = {'image': '/there'}
        self.copy()
        self.assertEqual('/there', self.conversions()[0][-2])
        self.download.assert_not_called()

    @ddt.data({'file_format': 'vmdk'}, {'file_format': None},
              {'virtual_size': 3 * 2 ** 30},
              {'format_specific': {'data': {'data-file': '/etc/passwd'}}})
    def test_image_that_is_refused(self, facts):
        self.info.configure_mock(**facts)
        self.assertRaises(exception.ImageUnacceptable, self.copy)
        self.assertEqual([], self.conversions())

    def test_image_that_cinder_finds_unsafe(self):
        self.download.side_effect = exception.ImageUnacceptable(
            image_id='image', reason='backed by')
        self.assertRaises(exception.ImageUnacceptable, self.copy)
        self.assertEqual([], self.conversions())

    def test_conversion_is_switched_off(self):
        self.config.config(image_conversion_disable=True)
        self.assertRaises(exception.ImageConversionNotAllowed, self.copy)
        self.download.assert_not_called()

    def test_conversion_fails(self):
        self.machine.missing.add('prlimit')
        error = self.assertRaises(exception.VolumeBackendAPIException,
                                  self.copy)
        self.assertIn("'prlimit' was not found", str(error))
        self.assertEqual([], self.machine.on_loan)


@ddt.ddt
class TestLeftToCinder(ImageTestCase):

    @ddt.data({'disk_format': 'vmdk'}, {'disk_format': 'iso'},
              {'container_format': 'compressed'}, {'container_format': 'ova'})
    def test_other_images(self, facts):
        self.service.show.return_value.update(facts)
        self.copy()
        self.assert_left_to_cinder()

    def test_volume_that_holds_data(self):
        self.copy(disable_sparse=True)
        self.assert_left_to_cinder(disable_sparse=True)

    @ddt.data({'reported': {'data_percent': '0.01'}}, {'origin': 'a'},
              {'segtype': 'linear', 'pool': ''})
    def test_volume_that_does_not_read_as_zeroes(self, facts):
        vars(self.lv(self.fresh)).update(facts)
        self.copy()
        self.assert_left_to_cinder()

    def test_pool_that_does_not_zero(self):
        self.lvm.volumes['vg-pool'].reported = {'zero': ''}
        self.driver = self.make_driver()
        self.copy()
        self.assert_left_to_cinder()

    def test_thick_back_end(self):
        self.driver = self.make_driver(lvm_type='default')
        self.copy()
        self.assert_left_to_cinder()

    @ddt.data(None, [4, 2, 1])
    def test_old_qemu_img(self, version):
        self.version.return_value = version
        self.copy()
        self.assert_left_to_cinder()

    def test_qemu_img_is_not_installed(self):
        self.version.side_effect = FileNotFoundError('qemu-img')
        self.copy()
        self.assert_left_to_cinder()


class TestOtherVerbs(ImageTestCase):

    def test_clone_image_leaves_it_to_cinder(self):
        self.assertEqual((None, False), self.driver.clone_image(
            self.context, self.fresh, None, {}, None))

    def test_image_that_is_a_volume_here_is_cloned(self):
        """Cinder does that by itself, when the driver does not clone it."""
        self.config.config(allowed_direct_url_schemes=['cinder'])
        source, image_id = self.volume(1), str(uuid.uuid4())
        self.add_lv(source, content='image', **backend.THIN)
        row = mock.MagicMock(id=source.id, get={'volume_metadata': []}.get)
        row.name = source.name
        # Which of them is asked depends on the release.
        database = mock.Mock(
            volume_get_all=mock.Mock(return_value=[row]),
            volume_get_all_by_host=mock.Mock(return_value=[row]))
        task = create_volume.CreateVolumeFromSpecTask(
            mock.Mock(), database, self.driver)
        made = self.volume(1, project_id='tenant', host='host@backend',
                           cluster_name=None, encryption_key_id=None)
        with mock.patch.object(objects.Volume, 'get_by_id',
                               return_value=source), \
                mock.patch.object(task, '_cleanup_cg_in_volume'), \
                mock.patch.object(task, '_handle_bootable_volume_glance_meta'):
            task._create_from_image(
                self.context, made, (f'cinder://{source.id}', None),
                image_id, {**IMAGE, 'id': image_id, 'disk_format': 'raw',
                           'owner': 'tenant'}, self.service)
        self.assertEqual(('image', source.name),
                         (self.lv(made).content, self.lv(made).origin))
        self.fetched.assert_not_called()

    def test_copy_volume_to_image(self):
        upload = self.patch('upload_volume', volume_utils)
        path = self.driver.local_path(self.fresh)
        upload.side_effect = lambda *args, **kwargs: self.assertEqual(
            [path], self.machine.on_loan)
        self.driver.copy_volume_to_image(self.context, self.fresh, 'service',
                                         {'id': 'image'})
        upload.assert_called_once_with(
            self.context, 'service', {'id': 'image'}, path, self.fresh,
            run_as_root=False)
        self.assertEqual([], self.machine.on_loan)

    def test_bandwidth_limit_needs_root(self):
        upload = self.patch('upload_volume', volume_utils)
        with mock.patch.object(throttling.Throttle, 'DEFAULT',
                               mock.Mock(bps_limit=5)):
            self.driver.copy_volume_to_image(
                self.context, self.fresh, 'service', {'id': 'image'})
        self.assertIs(True, upload.call_args.kwargs['run_as_root'])
