# SPDX-License-Identifier: MIT
# Explored code may hold no mutable globals: the explorer would not save and restore them.
execute_process(COMMAND ${OBJDUMP} -h ${OBJECT} OUTPUT_VARIABLE sections COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" sections "${sections}")
foreach(section IN LISTS sections)
  if(section MATCHES "^ *[0-9]+ (\\.(data|bss|tdata|tbss)[^ ]*) +([0-9a-f]+)")
    set(name ${CMAKE_MATCH_1})
    set(bytes ${CMAKE_MATCH_3})
    # constants that hold addresses are .data.rel.ro
    if(NOT name MATCHES "^\\.data\\.rel\\.ro" AND NOT bytes MATCHES "^0+$")
      file(REMOVE ${OBJECT})
      message(FATAL_ERROR "${OBJECT}: explored code has mutable globals (section ${name}, 0x${bytes} bytes), "
                          "which the explorer cannot restore")
    endif()
  endif()
endforeach()
