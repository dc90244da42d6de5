# SPDX-License-Identifier: MIT
set(target riscv64)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
