# SPDX-License-Identifier: MIT
# Plants a defect: applies the sed script SED to FROM, giving TO. Fails when a line of the script no longer finds
# what it changes, so that no mutant quietly turns into the original.
get_filename_component(folder ${TO} DIRECTORY)
file(MAKE_DIRECTORY ${folder})
execute_process(COMMAND sed -f ${SED} ${FROM} OUTPUT_FILE ${TO} COMMAND_ERROR_IS_FATAL ANY)
file(STRINGS ${SED} commands REGEX "^s/")
foreach(command IN LISTS commands)
  execute_process(COMMAND sed "${command}" ${FROM} OUTPUT_VARIABLE changed COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND cat ${FROM} OUTPUT_VARIABLE original COMMAND_ERROR_IS_FATAL ANY)
  if(changed STREQUAL original)
    file(REMOVE ${TO})
    message(FATAL_ERROR "${SED}: \"${command}\" changes nothing in ${FROM} any more")
  endif()
endforeach()
