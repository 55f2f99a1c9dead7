# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# DevStack plugin: every LVM back end gets the driver of this tree.
#
#   [[local|localrc]]
#   enable_plugin cinder-lvm-driver URL_OR_FOLDER_OF_THIS_TREE main
#
# DevStack itself creates the loopback-backed volume groups and the sections of
# its back ends of type "lvm" (CINDER_ENABLED_BACKENDS, CINDER_LVM_TYPE,
# CINDER_TARGET_HELPER, ...). The plugin does what remains for an operator.
# DevStack runs this file with the current phase.

CINDER_LVM_DRIVER_TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# --no-deps, because Cinder is installed with all dependencies. It follows the
# tree, because pip_install would install the test-requirements.txt of a tree
# that is its last argument.
function install_cinder_lvm_driver {
    pip_install "$CINDER_LVM_DRIVER_TREE" --no-deps
}

# Print the names of the back ends of type lvm.
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
        die $LINENO "no back end of type lvm; add one to CINDER_ENABLED_BACKENDS"
    fi
    for name in $names; do
        iniset "$CINDER_CONF" "$name" volume_driver "$CINDER_LVM_DRIVER"
        # os-brick supports the format with several portals.
        if [[ $(iniget "$CINDER_CONF" "$name" target_protocol) == nvmet_* ]]
        then
            iniset "$CINDER_CONF" "$name" nvmeof_conn_info_version 2
            # DevStack gives all back ends the same port, but each needs its
            # own: otherwise a host that connects before all VGs are active
            # drops the missing volumes.
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
    # After DevStack has written cinder.conf, before cinder-volume starts.
    'stack post-config') configure_cinder_lvm_driver ;;
    'clean '*) cleanup_cinder_lvm_driver ;;
    esac
fi
