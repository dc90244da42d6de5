# SPDX-License-Identifier: MIT
# Builds this folder's gate_work against another revision's core/: scripts/perf_gate.sh has that revision's CMake
# include this file right after its project(). Refuses to ask anything of that revision but the target `dodeca`.
add_executable(gate_work_against ${CMAKE_CURRENT_LIST_DIR}/gate_work.c)
# A folder of its own: that revision may have a gate_work too.
set_target_properties(gate_work_against PROPERTIES
  OUTPUT_NAME gate_work RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/against EXCLUDE_FROM_ALL TRUE)
target_include_directories(gate_work_against PRIVATE $<TARGET_PROPERTY:dodeca,INCLUDE_DIRECTORIES>)
target_link_libraries(gate_work_against PRIVATE dodeca)
