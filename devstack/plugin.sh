# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# DevStack plugin: every LVM back end gets the driver of this tree.
#
#   [[local|localrc]]
#   enable_plugin cinder-lvm-driver URL_OR_FOLDER_OF_THIS_TREE main
#
# DevStack itself makes the loopback-backed volume groups and the sections of
# its back ends of type "lvm" (CINDER_ENABLED_BACKENDS, CINDER_LVM_TYPE,
# CINDER_TARGET_HELPER, ...): what is left is what any operator does. It calls
# this file with the phase that it is in.

CINDER_LVM_DRIVER_TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Beside Cinder, which has all that the driver depends on. The tree is not the
# last word: DevStack would install its test-requirements.txt, too, and of each
# package there only half, without what it depends on.
function install_cinder_lvm_driver {
    pip_install "$CINDER_LVM_DRIVER_TREE" --no-deps
}

# Print the names of the back ends that are LVM's.
function cinder_lvm_driver_backends {
    local backend
    for backend in ${CINDER_ENABLED_BACKENDS//,/ }; do
        if [[ ${backend%%:*} == lvm ]]; then
            echo "${backend##*:}"
        fi
    done
}

function configure_cinder_lvm_driver {
    local name names port others=0
    names=$(cinder_lvm_driver_backends)
    if [[ -z $names ]]; then
        die $LINENO "no back end of type lvm in CINDER_ENABLED_BACKENDS"
    fi
    for name in $names; do
        iniset "$CINDER_CONF" "$name" volume_driver "$CINDER_LVM_DRIVER"
        # Both sides know the way of nova's os-brick to name several portals.
        if [[ $(iniget "$CINDER_CONF" "$name" target_protocol) == nvmet_* ]]
        then
            iniset "$CINDER_CONF" "$name" nvmeof_conn_info_version 2
            # DevStack gives all back ends one port, and each needs its own:
            # hosts that find it before their disks are back give these up.
            port=$(iniget "$CINDER_CONF" "$name" target_port)
            iniset "$CINDER_CONF" "$name" target_port \
                $((${port:-4420} + others))
            others=$((others + 1))
        fi
    done
    sudo install -o root -g root -m 0644 \
        "$CINDER_LVM_DRIVER_TREE"/etc/cinder/rootwrap.d/lvm-driver.filters \
        "$CINDER_CONF_DIR/rootwrap.d/"
}

function cleanup_cinder_lvm_driver {
    sudo rm -f "$CINDER_CONF_DIR/rootwrap.d/lvm-driver.filters"
}

if is_service_enabled c-vol; then
    case "$1 ${2:-}" in
    'stack install') install_cinder_lvm_driver ;;
    # cinder.conf is written, and cinder-volume has not started.
    'stack post-config') configure_cinder_lvm_driver ;;
    'clean '*) cleanup_cinder_lvm_driver ;;
    esac
fi
