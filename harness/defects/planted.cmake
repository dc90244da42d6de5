# SPDX-License-Identifier: MIT
# Trainers with a planted defect, for the key `plant`: the sources that open a trainer are compiled a second time,
# one of them changed by a sed script, and bound into one object whose only global symbol is the planted
# dd_trainer_open; everything else is the library's own.
set(stray_write_sed ${CMAKE_CURRENT_SOURCE_DIR}/defects/stray-write.sed)
set(stray_write_copy ${CMAKE_CURRENT_BINARY_DIR}/defects/callbacks.c)
set(stray_write_object ${CMAKE_CURRENT_BINARY_DIR}/defects/stray_write.o)
set(plant ${CMAKE_CURRENT_SOURCE_DIR}/defects/plant.sh)
set(core ${PROJECT_SOURCE_DIR}/core)

add_custom_command(OUTPUT ${stray_write_copy}
  COMMAND ${plant} ${stray_write_sed} ${core}/trainer/callbacks.c ${stray_write_copy}
  DEPENDS ${stray_write_sed} ${core}/trainer/callbacks.c ${plant} VERBATIM)
add_library(dodeca_stray_write OBJECT ${stray_write_copy} ${core}/trainer/trainer.c)
target_include_directories(dodeca_stray_write PRIVATE $<TARGET_PROPERTY:dodeca,INCLUDE_DIRECTORIES>)
add_custom_command(OUTPUT ${stray_write_object}
  COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o ${stray_write_object} $<TARGET_OBJECTS:dodeca_stray_write>
  COMMAND ${CMAKE_OBJCOPY} --redefine-sym dd_trainer_open=dd_trainer_open_stray_write ${stray_write_object}
  COMMAND ${CMAKE_OBJCOPY} --keep-global-symbol=dd_trainer_open_stray_write ${stray_write_object}
  DEPENDS dodeca_stray_write $<TARGET_OBJECTS:dodeca_stray_write> COMMAND_EXPAND_LISTS VERBATIM)
