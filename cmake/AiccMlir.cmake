# LLVM and MLIR as shared libraries, TableGen rules, and the one precompiled
# header that makes MLIR translation units cheap.

find_package(LLVM 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22)
find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22)
find_package(LLD 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22)

add_library(aicc_mlir INTERFACE)
target_include_directories(aicc_mlir SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
target_compile_options(aicc_mlir INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti> -fno-exceptions)
target_compile_definitions(aicc_mlir INTERFACE ${LLVM_DEFINITIONS_LIST})
target_link_libraries(aicc_mlir INTERFACE MLIR LLVM)

# The precompiled header. Everything that reuses it is compiled with the same
# flags, which is what aicc_add_mlir_library sees to.
add_library(aicc_mlir_pch OBJECT ${CMAKE_SOURCE_DIR}/cmake/pch.cpp)
target_link_libraries(aicc_mlir_pch PUBLIC aicc_mlir)
target_include_directories(aicc_mlir_pch PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
target_precompile_headers(aicc_mlir_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  target_compile_options(aicc_mlir INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>"
    $<$<COMPILE_LANGUAGE:CXX>:-fpch-instantiate-templates>)
endif()

# aicc_add_mlir_library(NAME sources... [LINK libs...] [DEPENDS targets...])
function(aicc_add_mlir_library name)
  cmake_parse_arguments(ARG "" "" "LINK;DEPENDS" ${ARGN})
  aicc_add_library(${name} ${ARG_UNPARSED_ARGUMENTS} LINK aicc_mlir ${ARG_LINK})
  target_precompile_headers(${name} REUSE_FROM aicc_mlir_pch)
  add_dependencies(${name} aicc_tablegen ${ARG_DEPENDS})
endfunction()

# aicc_add_mlir_executable(NAME sources... [LINK libs...])
function(aicc_add_mlir_executable name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  target_link_libraries(${name} PRIVATE aicc_mlir ${ARG_LINK})
  # The precompiled header is -fPIC, so -fPIE won't do.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC)
  target_precompile_headers(${name} REUSE_FROM aicc_mlir_pch)
  add_dependencies(${name} aicc_tablegen)
endfunction()

# All generated headers: libraries depend on it so that order never matters.
add_custom_target(aicc_tablegen)

# aicc_tablegen_file(TD OUT generator-args...): OUT beside TD in the build tree.
find_program(AICC_MLIR_TBLGEN mlir-tblgen HINTS /usr/lib/llvm-22/bin REQUIRED)
function(aicc_tablegen_file td out)
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${td})
  set(result ${CMAKE_CURRENT_BINARY_DIR}/${out})
  file(GLOB parts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.td)
  add_custom_command(OUTPUT ${result}
    COMMAND ${AICC_MLIR_TBLGEN} ${ARGN} -I ${CMAKE_SOURCE_DIR} -I ${MLIR_INCLUDE_DIRS} ${source} -o ${result}
    DEPENDS ${parts} VERBATIM)
  string(MAKE_C_IDENTIFIER "tablegen_${CMAKE_CURRENT_SOURCE_DIR}_${out}" id)
  add_custom_target(${id} DEPENDS ${result})
  add_dependencies(aicc_tablegen ${id})
endfunction()
