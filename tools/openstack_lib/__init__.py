# SPDX-License-Identifier: Apache-2.0
"""The parts of ``tools/openstack``: a real OpenStack around the driver.

On the machine that runs ``tools/openstack``:

``options``        the command line
``launch``         its commands
``settings``       what a cloud consists of, its folder and its ports
``passwords``      created once, readable by their owner only
``cloud``          one cloud: settings, folder, processes, passwords
``services``       starts, watches and stops processes
``configuration``  keystone.conf, glance-api.conf, cinder.conf of both machines
``control``        the control plane
``database``       MariaDB
``bus``            RabbitMQ
``apis``           the applications that gunicorn runs (services' environment)
``register``       users, catalog, types, an image (services' environment)
``access``         credentials of the clients
``node``           the storage node, from outside
``tempest``        configures and runs tempest
``follow``         reports each test when it ends (tempest's environment)
``results``        results of tests: lines, files, comparisons
``facts``          the head of a file of results

In the test machine:

``guest``          the storage node, from inside (root)
``disk``           what survives a reboot
``volume``         cinder-volume (user cinder)
``attach``         steps that need attached volumes, which tempest leaves out
``features``       more of these steps
``survive``        attached volumes across restarts

``remote`` connects the two. The steps of an ordinary user and their records
are in ``cloud_lib``.
"""
