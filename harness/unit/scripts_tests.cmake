# SPDX-License-Identifier: MIT
# CTest entries that run scripts: race checks, bit equality, lint and the scripts' own tests. They use the
# build they are registered in and do not rebuild it; the sanitized build beside it comes from test.sh.
add_executable(race_canary race_canary.c)
target_include_directories(race_canary PRIVATE $<TARGET_PROPERTY:dodeca,INCLUDE_DIRECTORIES>)
target_link_libraries(race_canary PRIVATE dodeca::core)

# The test of the points with one order of the barrier weakened: race checks must report each of them.
set(weakened 0)
foreach(order IN ITEMS release await arrive last)
  math(EXPR weakened "${weakened} + 1")
  add_executable(weakened_${order} test_points.c weakened.c)
  target_compile_definitions(weakened_${order} PRIVATE DD_WEAKENED=${weakened})
  target_include_directories(weakened_${order} PRIVATE $<TARGET_PROPERTY:dodeca,INCLUDE_DIRECTORIES>)
  target_link_libraries(weakened_${order} PRIVATE dodeca::core PkgConfig::CMOCKA -Wl,--wrap=dd_alloc -Wl,--wrap=dd_free
    -Wl,--wrap=dd_pbarrier_open -Wl,--wrap=dd_pbarrier_close)
endforeach()

# dd_script_test(name LABEL quick TIMEOUT seconds [ALONE] COMMAND …): exit code 3 is a skip; ALONE takes all cores
function(dd_script_test name)
  cmake_parse_arguments(T "ALONE" "LABEL;TIMEOUT" "COMMAND" ${ARGN})
  add_test(NAME ${name} COMMAND ${T_COMMAND})
  if(DODECA_SANITIZE)
    math(EXPR T_TIMEOUT "10 * ${T_TIMEOUT}")
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${T_LABEL} TIMEOUT ${T_TIMEOUT} SKIP_RETURN_CODE 3)
  if(T_ALONE)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
endfunction()

# dd_absent_test(name LABEL quick REASON words [OPTIONAL]): stands for a test that this build cannot have, and is told by
# scripts/test.sh; OPTIONAL where the machine decides, else a skipped test
function(dd_absent_test name)
  cmake_parse_arguments(T "OPTIONAL" "LABEL;REASON" "" ${ARGN})
  if(T_OPTIONAL)
    add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -E echo "SKIP (optional): ${T_REASON}")
  else()
    add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -E echo "SKIP: ${T_REASON}")
    set_tests_properties(${name} PROPERTIES SKIP_REGULAR_EXPRESSION "^SKIP: ")
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${T_LABEL})
endfunction()

# A sanitized build is what these tests make, not where they run.
if(NOT DODECA_SANITIZE)
  set(scripts ${PROJECT_SOURCE_DIR}/scripts)
  dd_script_test(scripts LABEL quick TIMEOUT 600 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts_test.sh)
  dd_script_test(long_tier LABEL quick TIMEOUT 600 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/long_tier_test.sh)
  dd_script_test(flags LABEL quick TIMEOUT 600 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/flags_test.sh ${PROJECT_SOURCE_DIR})
  dd_script_test(install LABEL quick TIMEOUT 240 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/install_test.sh
    ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER} ${CMAKE_CXX_COMPILER})
  set(help_test ${CMAKE_CURRENT_SOURCE_DIR}/help_test.sh $<TARGET_FILE:dodeca_program> ${PROJECT_BINARY_DIR}/harness/install/man1)
  dd_script_test(help LABEL quick TIMEOUT 120 COMMAND ${help_test})
  dd_script_test(examples LABEL slow TIMEOUT 1800 COMMAND ${help_test} --run)
  dd_script_test(completion LABEL quick TIMEOUT 60
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/completion_test.sh $<TARGET_FILE:dodeca_program>)
  dd_script_test(lint LABEL quick TIMEOUT 600 COMMAND ${scripts}/lint.sh)
  foreach(tool IN ITEMS tsan helgrind)
    dd_script_test(race_${tool} LABEL quick TIMEOUT 600
      COMMAND ${scripts}/race_check.sh ${tool} --small --build ${PROJECT_BINARY_DIR})
  endforeach()
  dd_script_test(same_bits LABEL quick TIMEOUT 600
    COMMAND ${scripts}/same_bits.sh --here ${PROJECT_BINARY_DIR})
  dd_script_test(race_all LABEL slow TIMEOUT 3600 ALONE
    COMMAND ${scripts}/race_check.sh all --build ${PROJECT_BINARY_DIR})
  # Protection keys for real, on an emulated CPU where this machine's has none.
  foreach(test IN ITEMS test_keys test_fault)
    dd_script_test(${test}_vm LABEL slow TIMEOUT 600
      COMMAND ${scripts}/keys_vm.sh $<TARGET_FILE:${test}> --required)
  endforeach()
  dd_script_test(stray_write_vm LABEL slow TIMEOUT 600
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/stray_write_vm_test.sh $<TARGET_FILE:dodeca_program>)
  set_tests_properties(test_keys_vm test_fault_vm stray_write_vm PROPERTIES SKIP_RETURN_CODE 77)
  dd_script_test(same_bits_compilers LABEL slow TIMEOUT 1800 ALONE COMMAND ${scripts}/same_bits.sh)
endif()
