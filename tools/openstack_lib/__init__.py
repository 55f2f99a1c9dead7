# SPDX-License-Identifier: Apache-2.0
"""The parts of ``tools/openstack``: a real OpenStack around the driver.

On the machine that it is started on:

``options``        the command line
``settings``       what the cloud is made of, where it lives and listens
``passwords``      made once, and read by nobody else
``launch``         the verbs
``services``       processes: started, watched, stopped by their id
``configuration``  keystone.conf, glance-api.conf, cinder.conf (two of them)
``control``        the control plane, from nothing to a scheduler
``database``       MariaDB
``bus``            RabbitMQ
``apis``           what gunicorn serves (services' environment)
``register``       users, catalogue, types, an image (services' environment)
``access``         how clients get at it
``node``           the storage node, from outside
``tempest``        its configuration and its run
``follow``         tells of each test as it ends (tempest's environment)
``results``        lines, files and comparisons of results
``facts``          what stands at the head of results

In the test machine:

``guest``          the storage node, from inside (root)
``disk``           what is still there after a reboot
``volume``         cinder-volume (user cinder)
``attach``         a user's steps that tempest without nova cannot do

``remote`` is between the two. What a user does, and how it is written down,
is in ``cloud_lib``.
"""
