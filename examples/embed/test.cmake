# Installs the runtime, builds the example against it with CMake and with
# pkg-config, and runs it on a package whose results are known.
#   cmake -DBUILD=.. -DSOURCE=.. -DWORK=.. -DPACKAGE_MAKER=.. -DKERNELS=..
#         -DCC=.. -DCXX=.. -DLIBDIR=lib -P test.cmake
function(run out)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE text ERROR_VARIABLE errors
                  RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGN}\nended with ${code}\n${text}${errors}")
  endif()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
set(prefix ${WORK}/prefix)
run(ignored ${CMAKE_COMMAND} --install ${BUILD} --component runtime --prefix ${prefix})
run(ignored ${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/build -G Ninja
    -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_C_COMPILER=${CC} -DCMAKE_CXX_COMPILER=${CXX}
    -DCMAKE_BUILD_TYPE=Release)
run(ignored ${CMAKE_COMMAND} --build ${WORK}/build)
run(ignored ${PACKAGE_MAKER} ${KERNELS} ${WORK}/model.aicc)

set(expected "y: 2 14 26 38 50 62 74 86\n")
run(text ${WORK}/build/embed_c ${WORK}/model.aicc)
if(NOT text STREQUAL "running cpu:test\n${expected}")
  message(FATAL_ERROR "embed_c printed\n${text}")
endif()
foreach(program embed_cpp embed_static)
  run(text ${WORK}/build/${program} ${WORK}/model.aicc cpu:0)
  if(NOT text STREQUAL "0 10 20 30 40 50 60 70 \n2 14 26 38 50 62 74 86 \n4 18 32 46 60 74 88 102 \n6 22 38 54 70 86 102 118 \n")
    message(FATAL_ERROR "${program} printed\n${text}")
  endif()
endforeach()
run(text ${prefix}/bin/aicc-run ${WORK}/model.aicc --random --dim=batch=2)

# Only the C API is visible.
find_program(nm NAMES llvm-nm-22 nm)
if(nm)
  run(text ${nm} -D --defined-only ${prefix}/${LIBDIR}/libaicc_runtime.so)
  string(REGEX REPLACE "\n$" "" text "${text}")
  string(REPLACE "\n" ";" lines "${text}")
  foreach(line ${lines})
    if(NOT line MATCHES " [A-Z] aicc_[a-z0-9_]+$")
      message(FATAL_ERROR "libaicc_runtime.so exports ${line}")
    endif()
  endforeach()
endif()

find_program(pkg_config pkg-config)
if(pkg_config)
  set(ENV{PKG_CONFIG_PATH} ${prefix}/${LIBDIR}/pkgconfig)
  run(flags ${pkg_config} --cflags --libs aicc)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  run(ignored ${CC} ${SOURCE}/embed.c -o ${WORK}/embed_pc ${flags})
  set(ENV{LD_LIBRARY_PATH} ${prefix}/${LIBDIR})
  run(text ${WORK}/embed_pc ${WORK}/model.aicc)
  if(NOT text STREQUAL "running cpu:test\n${expected}")
    message(FATAL_ERROR "embed_pc printed\n${text}")
  endif()
endif()
