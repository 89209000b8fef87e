if [ "$(id -u)" = 1000 ]; then
    . /etc/tcvs/environment
    export WAYLAND_DISPLAY="${WAYLAND_DISPLAY:-wayland-0}" DISPLAY="${DISPLAY:-:0}"
fi
