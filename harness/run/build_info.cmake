# SPDX-License-Identifier: MIT
# Writes build_info.c. cmake -DIN=… -DOUT=… -DSOURCE=… and the values, -P build_info.cmake
set(COMMIT "unknown")
find_program(GIT git)
if(GIT)
  get_filename_component(above "${SOURCE}" DIRECTORY)
  set(ENV{GIT_CEILING_DIRECTORIES} "${above}") # sources unpacked inside another checkout have no commit
  execute_process(
    COMMAND ${GIT} -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
    OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed)
    set(COMMIT "${described}")
  endif()
endif()
configure_file(${IN} ${OUT} @ONLY) # leaves an unchanged file alone
