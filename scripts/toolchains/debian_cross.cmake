# SPDX-License-Identifier: MIT
# What the toolchain files beside this one share: ${target} Linux with Debian's gcc-${target}-linux-gnu, or with clang over
# the same headers and libraries where CMAKE_C_COMPILER is one; programs of the target run under qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${target})
set(folder /usr/${target}-linux-gnu)
if(NOT CMAKE_C_COMPILER)
  set(CMAKE_C_COMPILER ${target}-linux-gnu-gcc)
endif()
if(CMAKE_C_COMPILER MATCHES clang)
  set(CMAKE_C_COMPILER_TARGET ${target}-linux-gnu)
  # It would look into the headers of this machine, too.
  set(CMAKE_C_FLAGS_INIT "-nostdlibinc -isystem ${folder}/include")
  set(CMAKE_EXE_LINKER_FLAGS_INIT -Wno-unused-command-line-argument)
endif()
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-${target};-L;${folder})
set(CMAKE_FIND_ROOT_PATH ${folder})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
